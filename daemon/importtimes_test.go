package daemon_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// TestImportOfWhatIsOfTheFuture: a storage whose clock is ahead of ours tells a
// time that is past by the next import; it is the object's all the same, so that
// the File is known by it, and what was written anew is told from it.
func TestImportOfWhatIsOfTheFuture(t *testing.T) {
	for _, ahead := range []time.Duration{10 * time.Second, 90 * time.Second, time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			w, b, im, end := importWorld(t)
			defer end()
			w.clocks.pass(time.Since(w.clocks.Now()) + time.Hour)
			d := &dated{bucket: b, at: w.clocks.Now().Add(time.Minute + ahead)} // an import passes a minute
			w.stores["old"] = store.New("old", d, store.Options{Attempts: 1})
			args := intake.Args{Source: "s3:old"}
			w.foreign(b, "report", "", []byte("first"))
			_, entries := w.imports(im, args)
			uid := w.outcome(entries, "report", protocol.ImportImported, "")
			if f, err := w.file("ann", uid); err != nil || f.CreatedAt.UnixMilli() != d.at.UnixMilli() {
				t.Errorf("created at %v, the object %v, %v", f.CreatedAt, d.at, err)
			}
			for range 2 {
				_, entries = w.imports(im, args)
				if got := w.outcome(entries, "report", protocol.ImportAlready, ""); got != uid {
					t.Errorf("imported again as %s, was %s", got, uid)
				}
			}
			d.at = d.at.Add(time.Second)
			w.foreign(b, "report", "", []byte("other"))
			for _, want := range []protocol.ImportOutcome{protocol.ImportImported, protocol.ImportAlready} {
				_, entries = w.imports(im, args)
				w.reads("ann", w.outcome(entries, "report", want, ""), []byte("other"))
			}
			w.reads("ann", uid, []byte("first"))
		})
	}
}

// TestImportOfWhatHasNoTime: a time before there were computers, or one that
// nobody could be told, tells nothing, so that such a copy is made once and is as
// old as its import.
func TestImportOfWhatHasNoTime(t *testing.T) {
	for what, at := range map[string]time.Time{
		"none":            {},
		"before any":      time.Unix(0, -1),
		"beyond the wire": time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		"beyond all":      time.Unix(1<<62, 0),
	} {
		t.Run(what, func(t *testing.T) {
			w, b, im, end := importWorld(t)
			defer end()
			w.stores["old"] = store.New("old", &dated{bucket: b, at: at}, store.Options{Attempts: 1})
			w.foreign(b, "report", "", []byte("first"))
			for _, want := range []protocol.ImportOutcome{protocol.ImportImported, protocol.ImportAlready, protocol.ImportAlready} {
				_, entries := w.imports(im, intake.Args{Source: "s3:old"})
				f, err := w.file("ann", w.outcome(entries, "report", want, ""))
				if err != nil || !f.CreatedAt.Equal(f.CommittedAt.Time) {
					t.Errorf("created at %v, committed at %v, %v", f.CreatedAt, f.CommittedAt, err)
				}
			}
		})
	}
}

// dated has all objects be of one time.
type dated struct {
	*bucket
	at time.Time
}

func (d *dated) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for f, err := range d.bucket.Browse(ctx, prefix, after) {
			if f.Time = d.at; !yield(f, err) {
				return
			}
		}
	}
}

func (d *dated) Describe(ctx context.Context, name string) (store.Found, error) {
	f, err := d.bucket.Describe(ctx, name)
	f.Time = d.at
	return f, err
}
