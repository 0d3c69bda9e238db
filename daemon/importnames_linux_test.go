package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
)

// A name on a disk of Linux is any bytes. One that no file can have is told,
// and nothing is passed over in silence.
func TestImportOfNamesThatAreNoUTF8(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		w, _, im, end := importWorld(t)
		dir := t.TempDir()
		if inPlace {
			dir = filepath.Join(w.root, "files")
		}
		for _, name := range []string{"caf\xe9.txt", "d\xff/inner", "fine"} {
			path := filepath.Join(dir, name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, []byte(name), 0o600))
		}
		j, entries := w.imports(im, intake.Args{Source: "dir:" + dir, InPlace: inPlace})
		if j.State != protocol.JobDone || len(entries) != 3 {
			t.Errorf("in place %t: job %+v, entries %v", inPlace, j, entries)
		}
		w.outcome(entries, dir+`/caf\xe9.txt`, protocol.ImportFailed, "UTF-8")
		w.outcome(entries, dir+`/d\xff/inner`, protocol.ImportFailed, "UTF-8")
		w.outcome(entries, dir+"/fine", protocol.ImportImported, "")
		end()
	}
}
