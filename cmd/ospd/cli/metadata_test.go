package cli

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema/schematest"
)

// No address is repeated, however wrong it is.
func TestMetadataUsage(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if code, _, stderr := ospd(t, "token", "create", "--data", data, "--owner", "o", "--scopes", "admin"); code != exitDone {
		t.Fatal(stderr)
	}
	for name, c := range map[string]struct {
		args  []string
		stdin string
		code  int
		says  string
	}{
		"no verb":                 {nil, "", exitConfig, "copy or back"},
		"an unknown verb":         {[]string{"move"}, "", exitConfig, `unknown command "move"`},
		"nowhere to":              {[]string{"copy", "--data", data}, "", exitConfig, "nowhere to copy to"},
		"an argument":             {[]string{"copy", "--to", "-", "hidden"}, "", exitConfig, "see: ospd --help"},
		"nothing to read":         {[]string{"copy", "--data", data, "--to", "-"}, " \n", exitConfig, "no address on standard input"},
		"another kind":            {[]string{"copy", "--data", data, "--to", "mysql://u:hidden@h/d"}, "", exitConfig, "postgres://user:password@host:port/name"},
		"another kind, read":      {[]string{"copy", "--data", data, "--to", "-"}, "mysql://u:hidden@h/d\n", exitConfig, "postgres://user:password@host:port/name"},
		"a folder nobody used":    {[]string{"copy", "--data", data + "2", "--to", "postgres://u:hidden@h/d"}, "", exitDatabase, "no ospd has used it yet"},
		"back, unasked":           {[]string{"back", "--data", data}, "", exitConfig, "--lose-changes"},
		"back, though not moved":  {[]string{"back", "--data", data, "--lose-changes"}, "", exitDatabase, "was not moved"},
		"back, with db: there":    {[]string{"back", "--data", data, "--db", "postgres://u:hidden@h/d", "--lose-changes"}, "", exitConfig, "db: sqlite"},
		"back, where nobody was":  {[]string{"back", "--data", data + "2", "--lose-changes"}, "", exitDatabase, "no ospd has used it yet"},
		"back with an argument":   {[]string{"back", "now"}, "", exitConfig, "see: ospd --help"},
		"an unknown flag of back": {[]string{"back", "--to", "x"}, "", exitConfig, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, err bytes.Buffer
			code := Main(append([]string{"metadata"}, c.args...), strings.NewReader(c.stdin), &out, &err)
			if code != c.code || out.Len() > 0 || !strings.Contains(err.String(), c.says) || strings.Contains(err.String(), "u:hidden") {
				t.Errorf("exit %d, %q, %q", code, out.String(), err.String())
			}
		})
	}
}

func TestCopiedSummary(t *testing.T) {
	s := copiedSummary{Tables: []copiedTable{{"files", 12}, {"deliveries", 0}}, Rows: 12, Verified: true}
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check("copied_metadata.json", text); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	var out bytes.Buffer
	if err := s.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"files  12", "deliveries   0", "all  12", "db: postgres://"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in:\n%s", line, out.String())
		}
	}
}
