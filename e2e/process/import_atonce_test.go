package process

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestImportsAtOnce: imports of overlapping folders at once, as copies and in
// place, make one file of each object, which all their manifests tell.
func TestImportsAtOnce(t *testing.T) {
	const count = 400
	folder := t.TempDir()
	contents := manyFiles(t, folder, count)
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("default_store: disk\nstores:\n  disk: {type: local, path: %q}\n  old: {type: local, path: %q}\n", t.TempDir(), folder)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
	all := filepath.Join(folder, "files")
	jobs := []protocol.JobID{
		startImport(t, d, all, false), startImport(t, d, all, true), startImport(t, d, filepath.Join(all, "3"), true),
		startImport(t, d, filepath.Join(all, "3"), false), startImport(t, d, filepath.Join(all, "5"), false),
	}
	uids := map[string]protocol.UID{}
	imported := 0
	for _, id := range jobs {
		for _, e := range entriesOf(t, d, id) {
			if e.UID == nil || uids[e.Path] != 0 && uids[e.Path] != *e.UID {
				t.Fatalf("entry %+v of job %s; it was %s", e, id, uids[e.Path])
			}
			if uids[e.Path] = *e.UID; e.Outcome == protocol.ImportImported {
				imported++
			}
		}
	}
	if len(uids) != count || imported < count || len(d.API().Files()) != count {
		t.Errorf("%d objects made %d files, of %d paths, in %d entries", count, len(d.API().Files()), len(uids), imported)
	}
	for path, uid := range uids {
		d.API().MustHold(uid, contents[path])
	}
	if exit := d.Stop(); exit != 0 {
		t.Errorf("ospd left with %d", exit)
	}
	fsckClean(t, d.Data, "--config", config)
}

// entriesOf waits for the end of an import and gives its manifest.
func entriesOf(t *testing.T, d *harness.Daemon, id protocol.JobID) (list []protocol.ManifestEntry) {
	t.Helper()
	cursor := ""
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		m := manifestPage(t, d, id, cursor)
		list = append(list, m.Entries...)
		if m.Next == nil {
			return list
		}
		if cursor = *m.Next; time.Now().After(deadline) {
			t.Fatalf("import %s has %d entries, and does not end", id, len(list))
		}
	}
}
