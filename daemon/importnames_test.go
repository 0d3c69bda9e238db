package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
)

// TestImportBesideOurObjects: what lies in the folder of a local store under a
// name that comes near to one of ospd's own is imported as everything else.
func TestImportBesideOurObjects(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		w, _, im, end := importWorld(t)
		w.put("ann", "ours", noise(1, 1000))
		names := []string{"20240101/photo.jpg", "00000001/photo.jpg", "STORE.bak", "lost+found/photo.jpg"}
		for _, name := range names {
			path := filepath.Join(w.root, filepath.FromSlash(name))
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, []byte(name), 0o600))
		}
		j, entries := w.imports(im, intake.Args{Source: "local:disk", InPlace: inPlace})
		if j.State != protocol.JobDone || len(entries) != len(names) {
			t.Errorf("in place %t: job %+v, entries %v", inPlace, j, entries)
		}
		for _, name := range names {
			w.reads("ann", w.outcome(entries, name, protocol.ImportImported, ""), []byte(name))
			if !inPlace { // nothing needs it, and fsck says so
				must(t, os.Remove(filepath.Join(w.root, filepath.FromSlash(name))))
			}
		}
		end()
	}
}
