package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/predecessor"
	"github.com/osproxy/osproxy/docs/schema/schematest"
)

// No address is repeated, however wrong it is, and nothing is begun.
func TestImportOsproxyUsage(t *testing.T) {
	const dsn = "postgres://u:hidden@127.0.0.1:1/d"
	data := t.TempDir()
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		says  string
	}{
		"nothing said":              {nil, "", exitConfig, "--dsn"},
		"no store":                  {[]string{"--dsn", dsn}, "", exitConfig, "--store"},
		"no database":               {[]string{"--store", "disk"}, "", exitConfig, "--dsn"},
		"an argument":               {[]string{"--dsn", dsn, "--store", "disk", "hidden"}, "", exitConfig, "see: ospd --help"},
		"nothing to read":           {[]string{"--dsn", "-", "--store", "disk"}, "\n", exitConfig, "no address on standard input"},
		"another kind":              {[]string{"--dsn", "mysql://u:hidden@h/d", "--store", "disk"}, "", exitConfig, "postgres://user:password@host:port/name"},
		"sqlite":                    {[]string{"--dsn", "sqlite", "--store", "disk"}, "", exitConfig, "nothing to import from"},
		"an unknown store":          {[]string{"--dsn", dsn, "--store", "old"}, "", exitConfig, `no store "old" in the configuration; there are disk`},
		"an unknown one of one":     {[]string{"--dsn", dsn, "--store", "image=old"}, "", exitConfig, `no store "old"`},
		"two for all":               {[]string{"--dsn", dsn, "--store", "disk", "--store", "disk"}, "", exitConfig, "two stores are named for the same"},
		"two for one":               {[]string{"--dsn", dsn, "--store", "a=disk", "--store", "a=disk"}, "", exitConfig, "two stores are named for the same"},
		"no name of an owner":       {[]string{"--dsn", dsn, "--store", "disk", "--owner", "a b"}, "", exitConfig, "no name of an owner"},
		"neither for MD5s":          {[]string{"--dsn", dsn, "--store", "disk", "--md5", "no"}, "", exitConfig, `--md5 is check or ignore, and not "no"`},
		"a database that is away":   {[]string{"--dsn", dsn, "--store", "disk"}, "", exitDatabase, "osproxy's database"},
		"one that was read is away": {[]string{"--dsn", "-", "--store", "disk", "--dry-run"}, dsn, exitDatabase, "osproxy's database"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, err bytes.Buffer
			code := Main(append([]string{"import-osproxy", "--data", data}, c.args...), strings.NewReader(c.stdin), &out, &err)
			if code != c.code || out.Len() > 0 || !strings.Contains(err.String(), c.says) || strings.Contains(err.String(), "u:hidden") {
				t.Errorf("exit %d, %q, %q", code, out.String(), err.String())
			}
		})
	}
}

func TestOsproxyReport(t *testing.T) {
	row := predecessor.Row{UID: -7, Name: "a\tb", Object: "image/7.png", Outcome: predecessor.Missing, Message: `there is no object "7.png"`}
	allowed := int64(20)
	sum := predecessor.Summary{Quota: &predecessor.Reckoning{Bytes: predecessor.Charge{Allowed: &allowed, Used: 21, Wanted: 22}, Files: predecessor.Charge{Used: 23, Wanted: 24}}, Rows: 9, Done: 5, Imported: 1, Bytes: 2, Already: 3, Updated: 12, Deleted: 4, Unfinished: 5,
		Told: map[predecessor.Outcome]int64{predecessor.Missing: 6, predecessor.OtherSize: 7, predecessor.Failed: 8, predecessor.Renamed: 9, predecessor.Doubled: 10, predecessor.Unsummed: 11, predecessor.Changed: 13}}
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	var out, terminal bytes.Buffer
	r := &osproxyReport{out: printed{&out}, json: true}
	if err := r.row(row); err != nil {
		t.Fatal(err)
	}
	if err := r.interrupted(sum); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	for i, name := range []string{"osproxy_row.json", "osproxy_summary.json"} {
		if err := schemas.Check(name, []byte(lines[i])); err != nil {
			t.Errorf("%s: %v", lines[i], err)
		}
	}
	var got osproxySummary
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	got.ElapsedMS = 0
	if q := got.Quota; q == nil || q.Bytes.Allowed == nil || *q.Bytes.Allowed != 20 || q.Bytes.Used != 21 || q.Bytes.Wanted != 22 || q.Files != (predecessor.Charge{Used: 23, Wanted: 24}) {
		t.Errorf("of the quota %+v", q)
	}
	got.Quota = nil
	if want := (osproxySummary{1, "summary", false, false, true, 9, 5, 1, 3, 12, 4, 5, 6, 7, 8, 13, 9, 10, 11, 2, nil, 0}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	out.Reset()
	r = &osproxyReport{out: printed{&out}, terminal: &terminal, dryRun: true}
	r.progress(sum)
	if err := r.row(row); err != nil {
		t.Fatal(err)
	}
	if err := r.end(sum); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"-7\tmissing\tthere is no object \"7.png\"\n", "Would import 1 files, 2 bytes, of 9 uids; 3 were there already, 4 have been deleted since, to 5 nothing was uploaded.\n",
		"9 of them have another name", "12 had changed since", "13 have changed since", "No file was made of 6 whose object is not there, 7 whose object has another size, and 8 others.\n",
		"Of the quota: bytes 21 in use, 22 more wanted, 20 allowed; files 23 in use, 24 more wanted, any number allowed.\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in:\n%s", line, out.String())
		}
	}
	if terminal.String() != "5 of 9 rows\n" {
		t.Errorf("a terminal is told %q", terminal.String())
	}
	out.Reset()
	if err := r.interrupted(predecessor.Summary{}); err != nil || out.Len() > 0 {
		t.Errorf("of nothing is told %q", out.String())
	}
}
