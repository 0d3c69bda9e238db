package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// TestReplacedInPlace: an object in place that others replace before its digest
// is known is never served as the File, whole or mixed, and no digest is made
// of it, whenever that happens; the new object stays whatever becomes of the File.
func TestReplacedInPlace(t *testing.T) {
	const name = "a/object"
	old, other := noise(1, 3*protocol.BlockSize+5), noise(2, 3*protocol.BlockSize+5)
	for what, when := range map[string]func(w *world, b *bucket, replace func()){
		"before it is read":    func(_ *world, _ *bucket, replace func()) { replace() },
		"before its bytes":     func(_ *world, b *bucket, replace func()) { b.reading = func(store.Key) { replace() } },
		"while it is read":     func(w *world, b *bucket, replace func()) { w.breaks(b, int64(len(old))/2, replace) },
		"before its last byte": func(w *world, b *bucket, replace func()) { w.breaks(b, int64(len(old))-1, replace) },
	} {
		for _, digest := range []bool{false, true} {
			t.Run(what, func(t *testing.T) {
				w, b, im, end := importWorld(t)
				defer end()
				w.foreign(b, name, "", old)
				_, entries := w.imports(im, intake.Args{Source: "s3:old/a/", InPlace: true, Adopt: true})
				uid := w.outcome(entries, name, protocol.ImportImported, "")
				when(w, b, func() { w.foreign(b, name, "", other) })
				if digest {
					w.digests()
					if f, err := w.file("ann", uid); err != nil || f.Digest != nil {
						t.Errorf("a digest was made: %v, %v", f.Digest, err)
					}
				}
				var got bytes.Buffer
				c, err := w.files.Open(t.Context(), "ann", uid)
				if err == nil {
					err = errors.Join(c.WriteRange(t.Context(), &got, 0, c.Size()), c.Close())
				}
				if protocol.KindOf(err) != protocol.KindContentCorrupt || got.Len() >= len(old) {
					t.Errorf("read %d bytes: %v", got.Len(), err)
				}
				w.delete("ann", uid)
				w.round()
				if r, err := b.Backend.Get(t.Context(), store.ForeignKey(name), 0, -1); err != nil {
					t.Errorf("the new object: %v", err)
				} else if kept, err := io.ReadAll(r); err != nil || !bytes.Equal(kept, other) {
					t.Errorf("the new object has %d bytes, %v", len(kept), err)
				}
			})
		}
	}
}

// TestImportInPlaceOfWhatVanishes: what is gone, or another size, by the time it
// is to be taken is told, each for itself, and no File is made of it.
func TestImportInPlaceOfWhatVanishes(t *testing.T) {
	w, b, im, end := importWorld(t)
	defer end()
	for _, name := range []string{"gone", "grows", "stays"} {
		w.foreign(b, name, "", []byte(name))
	}
	w.stores["old"] = store.New("old", &vanishing{b}, store.Options{Attempts: 1})
	j, entries := w.imports(im, intake.Args{Source: "s3:old", InPlace: true})
	if j.State != protocol.JobDone || j.Progress.Note != "2 failed" {
		t.Errorf("job %+v at %+v", j, j.Progress)
	}
	w.outcome(entries, "gone", protocol.ImportFailed, "vanished")
	w.outcome(entries, "grows", protocol.ImportFailed, "changed")
	w.outcome(entries, "stays", protocol.ImportImported, "")
}

// vanishing has objects that are others once they were listed.
type vanishing struct{ *bucket }

func (v *vanishing) Describe(ctx context.Context, name string) (store.Found, error) {
	var err error
	switch name {
	case "gone":
		err = v.Delete(ctx, store.ForeignKey(name))
	case "grows":
		err = v.PutForeign(ctx, name, "", []byte("and is longer"))
	}
	if err != nil {
		return store.Found{}, err
	}
	return v.bucket.Describe(ctx, name)
}

// breaks has the first body of the store break after n bytes, and replace run
// then: the store goes on with what it finds.
func (w *world) breaks(b *bucket, n int64, replace func()) {
	w.stores["old"] = store.New("old", &breaking{bucket: b, after: n, then: replace}, store.Options{
		Attempts: 3, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
}

type breaking struct {
	*bucket
	after int64
	then  func()
	done  bool
}

func (b *breaking) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	rc, err := b.bucket.Get(ctx, key, off, n)
	if err != nil || b.done || off > 0 || n <= b.after {
		return rc, err
	}
	b.done = true
	return io.NopCloser(io.MultiReader(io.LimitReader(rc, b.after), readerFunc(func([]byte) (int, error) {
		b.then()
		return 0, errors.New("the connection broke")
	}))), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
