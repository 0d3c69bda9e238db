package daemon_test

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// private has folders and files that the daemon may not read.
type private struct{ *bucket }

func (p private) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for f, err := range p.bucket.Browse(ctx, prefix, after) {
			if strings.HasSuffix(f.Name, "closed/") || strings.HasSuffix(f.Name, ".hidden") {
				f = store.Found{Name: f.Name, Err: fs.ErrPermission}
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

func (p private) Marked(ctx context.Context, dir string) (bool, error) {
	if strings.HasSuffix(dir, "closed/") || strings.HasSuffix(dir, "unmarkable/") {
		return false, fs.ErrPermission
	}
	return p.bucket.Marked(ctx, dir)
}

func (p private) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if strings.HasSuffix(string(key), ".secret") {
		return nil, fs.ErrPermission
	}
	return p.bucket.Get(ctx, key, off, n)
}

// TestImportOfWhatMayNotBeRead: each folder and file that the daemon may not read
// is one entry that says so, and the rest is imported.
func TestImportOfWhatMayNotBeRead(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		w, b, _, end := importWorld(t)
		for _, name := range []string{"a/closed/", "a/x", "b.hidden", "c/unmarkable/deep/1", "c/unmarkable/2", "c/x", "d.secret", "e"} {
			w.foreign(b, name, "", []byte(strings.TrimSuffix(name, "a/closed/")))
		}
		w.stores["old"] = store.New("old", private{b}, store.Options{Attempts: 1})
		w.importing.Folders["old"] = t.TempDir()
		j, entries := w.imports(w.intake(nil), intake.Args{Source: "local:old", InPlace: inPlace})
		if j.State != protocol.JobDone || len(entries) != 7 || j.Progress.Note != "4 failed" {
			t.Errorf("in place %t: job %+v at %+v, entries %v", inPlace, j, j.Progress, entries)
		}
		for _, name := range []string{"a/closed/", "b.hidden", "c/unmarkable/", "d.secret"} {
			w.outcome(entries, name, protocol.ImportFailed, "may not read it")
		}
		for _, name := range []string{"a/x", "c/x", "e"} {
			w.outcome(entries, name, protocol.ImportImported, "")
		}
		end()
	}
}
