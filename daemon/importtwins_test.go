package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// twins are two equal files in the folder of the local store.
func twins() []string { return []string{"a.txt", "b.txt"} }

// importTwins imports them in place, and has their digests be known: from then
// on one of them has the bytes of both Files. lent is the other one.
func (w *world) importTwins(im *intake.Worker) (lent, holds string, uids map[string]protocol.UID) {
	w.t.Helper()
	for _, name := range twins() {
		must(w.t, os.WriteFile(filepath.Join(w.root, name), []byte("same bytes"), 0o600))
	}
	w.clocks.pass(time.Since(w.clocks.Now()) + time.Hour) // the files are of now
	_, entries := w.imports(im, intake.Args{Source: "local:disk", InPlace: true})
	uids = map[string]protocol.UID{}
	for _, name := range twins() {
		uids[name] = w.outcome(entries, name, protocol.ImportImported, "")
	}
	w.digests()
	for _, name := range twins() {
		_, c, err := w.db.Content(w.t.Context(), "ann", uids[name])
		must(w.t, err)
		if c.Extents[0].Key == string(store.ForeignKey(name)) {
			holds = name
		} else {
			lent = name
		}
	}
	if lent == "" || holds == "" {
		w.t.Fatalf("no File has its bytes in the other object: %q %q", lent, holds)
	}
	return lent, holds, uids
}

// TestImportOfTwinsAgain: a File whose bytes lie in an equal object is the one of
// its own object all the same, in place and as a copy.
func TestImportOfTwinsAgain(t *testing.T) {
	w, _, im, end := importWorld(t)
	defer end()
	_, _, uids := w.importTwins(im)
	for _, inPlace := range []bool{true, false} {
		_, entries := w.imports(im, intake.Args{Source: "local:disk", InPlace: inPlace})
		for _, name := range twins() {
			if got := w.outcome(entries, name, protocol.ImportAlready, ""); got != uids[name] {
				t.Errorf("in place %t: %s is %s, was %s", inPlace, name, got, uids[name])
			}
		}
	}
}

// TestImportOfATwinThatChanged: one that has no File's bytes is imported anew, and
// its first File stays; one that has them fails.
func TestImportOfATwinThatChanged(t *testing.T) {
	for _, inPlace := range []bool{true, false} {
		t.Run(fmt.Sprint("in place: ", inPlace), func(t *testing.T) {
			w, _, im, end := importWorld(t)
			defer end()
			lent, holds, uids := w.importTwins(im)
			args := intake.Args{Source: "local:disk", InPlace: inPlace}
			w.round() // forgets the object that no File has
			w.rewriteFile(lent, "some bytes")
			_, entries := w.imports(im, args)
			again := w.outcome(entries, lent, protocol.ImportImported, "")
			w.reads("ann", uids[lent], []byte("same bytes"))
			w.reads("ann", again, []byte("some bytes"))
			w.rewriteFile(holds, "else bytes")
			_, entries = w.imports(im, args)
			if got := w.outcome(entries, lent, protocol.ImportAlready, ""); got != again {
				t.Errorf("imported again as %s, is %s", got, again)
			}
			w.outcome(entries, holds, protocol.ImportFailed, "imported as "+uids[holds].String()+"; remove that file")
			for _, uid := range uids { // their bytes are gone
				w.delete("ann", uid)
			}
		})
	}
}

// rewriteFile replaces a file in the local store's folder, by one of another time.
func (w *world) rewriteFile(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.root, name)
	was, err := os.Stat(path)
	must(w.t, err)
	must(w.t, os.WriteFile(path, []byte(text), 0o600))
	must(w.t, os.Chtimes(path, time.Time{}, was.ModTime().Add(time.Second)))
}
