//go:build servers

package process

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

const (
	importCount = 10_000
	// copyCount is fewer, since each copy waits for the disk.
	copyCount   = 2_000
	importKills = 2
)

// TestKilledImport: the daemon is killed twice in an import and run again: each
// path once, in one manifest, and again in a second import.
func TestKilledImport(t *testing.T) {
	for _, how := range []struct {
		name    string
		inPlace bool
		count   int
	}{{"copied", false, copyCount}, {"in place", true, importCount}} {
		t.Run(how.name, func(t *testing.T) {
			folder := t.TempDir()
			contents := manyFiles(t, folder, how.count)
			config := filepath.Join(t.TempDir(), "config.yaml")
			text := "{}\n"
			if how.inPlace {
				text = fmt.Sprintf("default_store: disk\nstores:\n  disk: {type: local, path: %q}\n  old: {type: local, path: %q}\n", t.TempDir(), folder)
			}
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			d := harness.StartDaemon(t, bin, t.TempDir(), "--config", config)
			id := startImport(t, d, filepath.Join(folder, "files"), how.inPlace)
			for kill := 1; kill <= importKills; kill++ {
				awaitEntries(t, d, id, kill*how.count/(importKills+2))
				d.Kill()
				d.Start()
			}
			uids := wholeManifest(t, d, id, contents, protocol.ImportImported)
			again := startImport(t, d, filepath.Join(folder, "files"), how.inPlace)
			for path, uid := range wholeManifest(t, d, again, contents, protocol.ImportAlready) {
				if uids[path] != uid {
					t.Fatalf("%s is %s, and was %s", path, uid, uids[path])
				}
			}
			if files := d.API().Files(); len(files) != how.count {
				t.Errorf("%d objects made %d files", how.count, len(files))
			}
			for _, n := range []int{0, 1234, how.count - 1} {
				path := importPath(folder, n)
				var ans harness.Answer
				harness.Eventually(t, path+" can be read", func() bool {
					ans = d.API().Content(uids[path])
					return ans.Status == http.StatusOK
				})
				if !bytes.Equal(ans.Body, contents[path]) {
					t.Errorf("%s reads back as %q", path, ans.Body)
				}
			}
			if exit := d.Stop(); exit != 0 {
				t.Errorf("ospd left with %d", exit)
			}
			fsckClean(t, d.Data, "--config", config)
		})
	}
}

// awaitEntries waits until the import has recorded so many objects, and says
// where it had not to be over yet.
func awaitEntries(t *testing.T, d *harness.Daemon, id protocol.JobID, count int) {
	t.Helper()
	n, cursor := 0, ""
	for deadline := time.Now().Add(2 * time.Minute); n < count; time.Sleep(5 * time.Millisecond) {
		m := manifestPage(t, d, id, cursor)
		n += len(m.Entries)
		if m.Next == nil || time.Now().After(deadline) {
			t.Fatalf("the import has %d entries, and ended before it could be killed: %v", n, m.Next == nil)
		}
		cursor = *m.Next
	}
}

// wholeManifest waits for the end of an import and gives the uids by path, each
// of which is there once.
func wholeManifest(t *testing.T, d *harness.Daemon, id protocol.JobID, contents map[string][]byte, want protocol.ImportOutcome) map[string]protocol.UID {
	t.Helper()
	uids, seen := map[string]protocol.UID{}, map[protocol.UID]bool{}
	cursor := ""
	for deadline := time.Now().Add(4 * time.Minute); ; {
		m := manifestPage(t, d, id, cursor)
		for _, e := range m.Entries {
			if e.UID == nil || e.Outcome != want || e.Size != int64(len(contents[e.Path])) {
				t.Fatalf("entry %+v", e)
			}
			if uids[e.Path] != 0 || seen[*e.UID] {
				t.Fatalf("%s (%s) is there twice", e.Path, e.UID)
			}
			uids[e.Path], seen[*e.UID] = *e.UID, true
		}
		if m.Next == nil {
			break
		}
		if cursor = *m.Next; len(m.Entries) == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the import has %d entries, and does not end", len(uids))
		}
	}
	if len(uids) != len(contents) {
		t.Fatalf("the manifest has %d paths of %d", len(uids), len(contents))
	}
	return uids
}
