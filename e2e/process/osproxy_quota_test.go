//go:build postgres

package process

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// limited is an ospd with a quota of local's.
func (f folders) limited(t *testing.T, quota string) folders {
	t.Helper()
	config, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.config = harness.WriteFile(t, "ospd.yaml", fmt.Appendf(config, "quotas: {owners: {local: {%s}}}\n", quota))
	return f
}

// ends expects how an import ends, with what it says of the quota, and what there
// is in its summary.
func (o *osproxy) ends(exit int, args []string, sum map[string]any, says ...string) {
	o.Helper()
	p := harness.Start(o.T, nil, "", bin.OSPD, append([]string{"import-osproxy", "--dsn", o.dsn, "--json"}, args...)...)
	if got := p.Wait(); got != exit {
		o.Errorf("exit %d, want %d", got, exit)
	}
	for _, text := range says {
		if !strings.Contains(p.Stderr(), text) {
			o.Errorf("%q is not in: %s", text, p.Stderr())
		}
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(p.Stdout()), &got); err != nil {
		o.Fatalf("%v: %s", err, p.Stdout())
	}
	for name, want := range sum {
		if text, _ := json.Marshal(got[name]); string(text) != fmt.Sprint(want) {
			o.Errorf("%s is %s, want %v", name, text, want)
		}
	}
}

// TestPostgresImportOsproxyBeyondQuota: what the quota of the owner does not allow
// is foretold, and said with how much is wanted; with a configuration that allows
// it the same command goes on.
func TestPostgresImportOsproxyBeyondQuota(t *testing.T) {
	server, address := postgres(t, false)
	for name, db := range map[string]string{"sqlite": "sqlite", "postgres": address} {
		t.Run(name, func(t *testing.T) {
			o := newOsproxy(t, server, "quota_"+name)
			f := newFolders(t, db)
			o.onFolder(f.root)
			data := harness.Content(1, 10)
			first := o.has(o.uploaded("a.png", data, nil), data)
			for n := range int64(299) {
				o.has(o.insert(&osproxyRow{uid: first.uid + 1 + n, name: "b.png", bucket: first.bucket, file: first.file, md5: first.md5, size: 10, status: 1}), data)
			}
			none := f.limited(t, "bytes: 2999")
			o.ends(11, none.args("--dry-run"), map[string]any{"ok": false, "interrupted": false, "imported": 300,
				"quota": `{"bytes":{"allowed":2999,"used":0,"wanted":3000},"files":{"allowed":null,"used":0,"wanted":300}}`},
				"allows 2999 bytes", "0 are in use", "3000 more", "quotas.owners.local.bytes to 3000 or more", "nothing was changed")
			o.ends(11, f.limited(t, "files: 299").args("--dry-run"), map[string]any{"ok": false}, "allows 299 files", "quotas.owners.local.files to 300 or more")
			o.ends(11, f.limited(t, "bytes: 2700").args(), map[string]any{"ok": false, "interrupted": true, "imported": 256,
				"quota": `{"bytes":{"allowed":2700,"used":2560,"wanted":440},"files":{"allowed":null,"used":256,"wanted":44}}`},
				"allows 2700 bytes", "2560 are in use", "440 more", "quotas.owners.local.bytes to 3000 or more", "stays")
			o.ends(11, f.limited(t, "bytes: 2").args(), map[string]any{"imported": 0, "quota": `{"bytes":{"allowed":2,"used":2560,"wanted":440},"files":{"allowed":null,"used":256,"wanted":44}}`})
			enough := f.limited(t, "bytes: 3000, files: 300")
			o.ends(0, enough.args("--dry-run"), map[string]any{"ok": true, "imported": 44})
			o.ends(0, enough.args(), map[string]any{"ok": true, "imported": 44, "already": 256, "quota": "null"})
			d := harness.StartDaemon(t, bin, f.data, "--config", enough.config)
			o.holds(d.API())
			stop(t, d)
		})
	}
}
