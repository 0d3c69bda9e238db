package storetest

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/osproxy/osproxy/store"
)

func runAssembler(t T, open Open) {
	for _, c := range []struct {
		name string
		run  func(T, store.Backend, store.Assembler)
	}{
		{"assemble in any order", assembleAnyOrder},
		{"assemble concurrently", assembleConcurrently},
		{"assemble again", assembleAgain},
		{"assemble empty", assembleEmpty},
		{"assemble with an ended context", assembleEnded},
		{"cut", assembleCut},
	} {
		t.Run(c.name, func(t T) {
			b := opened(t, open)
			if a, ok := b.(store.Assembler); ok {
				c.run(t, b, a)
			} else {
				t.Logf("the backend does not assemble")
			}
		})
	}
}

// assembled opens key for writing.
func assembled(t T, a store.Assembler, key store.Key) store.Assembly {
	t.Helper()
	w, err := a.Assemble(t.Context(), key)
	if err != nil {
		t.Fatalf("assemble: %v", err)
	}
	return w
}

func finish(t T, w store.Assembly) {
	t.Helper()
	if err := w.Sync(t.Context()); err != nil {
		t.Errorf("sync: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func assembleAnyOrder(t T, b store.Backend, a store.Assembler) {
	data := bytesOf(20, large)
	key := store.NewKey(dir)
	w := assembled(t, a, key)
	const part = 300_001
	n := (large + part - 1) / part
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		off := i * part
		p := data[off:min(off+part, large)]
		if k, err := w.WriteAt(p, int64(off)); err != nil || k != len(p) {
			t.Fatalf("write %d bytes at %d: %d, %v", len(p), off, k, err)
		}
		w.Flush(int64(off), int64(len(p)))
		got := make([]byte, len(p))
		if _, err := w.ReadAt(got, int64(off)); err != nil && err != io.EOF || !bytes.Equal(got, p) {
			t.Errorf("read back at %d: %v", off, err)
		}
	}
	finish(t, w)
	wantBytes(t, b, key, data)
	wantKeys(t, "list", list(t, b, "", ""), []store.Key{key})
	wantErr(t, "put over an assembled object",
		b.Put(t.Context(), key, bytes.NewReader(nil), 0), store.ErrExists)
}

func assembleConcurrently(t T, b store.Backend, a store.Assembler) {
	data := bytesOf(21, large)
	key := store.NewKey(dir)
	w := assembled(t, a, key)
	var wg sync.WaitGroup
	const part = 600_007
	for off := 0; off < large; off += part {
		wg.Go(func() {
			if _, err := w.WriteAt(data[off:min(off+part, large)], int64(off)); err != nil {
				t.Errorf("write at %d: %v", off, err)
			}
			if err := w.Sync(t.Context()); err != nil {
				t.Errorf("sync: %v", err)
			}
		})
	}
	wg.Wait()
	wantBytes(t, b, key, data)
	finish(t, w)
}

func assembleAgain(t T, b store.Backend, a store.Assembler) {
	key := store.NewKey(dir)
	w := assembled(t, a, key)
	if _, err := w.WriteAt([]byte("world"), 6); err != nil {
		t.Fatalf("write: %v", err)
	}
	finish(t, w)
	wantBytes(t, b, key, []byte("\x00\x00\x00\x00\x00\x00world"))
	w = assembled(t, a, key)
	if _, err := w.WriteAt([]byte("hello "), 0); err != nil {
		t.Fatalf("write: %v", err)
	}
	finish(t, w)
	wantBytes(t, b, key, []byte("hello world"))
}

func assembleEmpty(t T, b store.Backend, a store.Assembler) {
	key := store.NewKey(dir)
	finish(t, assembled(t, a, key))
	wantBytes(t, b, key, nil)
	if err := b.Delete(t.Context(), key); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantAbsent(t, b, key)
}

func assembleEnded(t T, b store.Backend, a store.Assembler) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := store.NewKey(dir)
	_, err := a.Assemble(ctx, key)
	wantErr(t, "assemble", err, context.Canceled)
	wantAbsent(t, b, key)
	w := assembled(t, a, key)
	if _, err := w.WriteAt([]byte("x"), 0); err != nil {
		t.Fatalf("write: %v", err)
	}
	wantErr(t, "sync", w.Sync(ctx), context.Canceled)
	// A sync that was never begun loses nothing.
	finish(t, w)
	wantBytes(t, b, key, []byte("x"))
}

func assembleCut(t T, b store.Backend, a store.Assembler) {
	key := store.NewKey(dir)
	wantErr(t, "cut of nothing", a.Cut(t.Context(), key, 1), store.ErrNotFound)
	wantAbsent(t, b, key)
	data := bytesOf(23, 100_000)
	w := assembled(t, a, key)
	if _, err := w.WriteAt(data, 0); err != nil {
		t.Fatalf("write: %v", err)
	}
	finish(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "cut", a.Cut(ctx, key, 1), context.Canceled)
	for _, c := range []struct{ size, left int64 }{{100_001, 100_000}, {100_000, 100_000}, {60_001, 60_001}, {70_000, 60_001}, {0, 0}} {
		if err := a.Cut(t.Context(), key, c.size); err != nil {
			t.Errorf("cut to %d: %v", c.size, err)
		}
		wantBytes(t, b, key, data[:c.left])
	}
	wantErr(t, "cut under no key", a.Cut(t.Context(), "x", 1), store.ErrKey)
}

func runFileOpener(t T, open Open) {
	t.Run("open files", func(t T) {
		b := opened(t, open)
		o, ok := b.(store.FileOpener)
		if !ok {
			t.Logf("the backend's objects are no files")
			return
		}
		_, err := o.OpenFile(t.Context(), store.NewKey(dir))
		wantErr(t, "open of nothing", err, store.ErrNotFound)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		data := bytesOf(22, 100_000)
		key := put(t, b, data)
		_, err = o.OpenFile(ctx, key)
		wantErr(t, "open", err, context.Canceled)
		openIndependently(t, b, o, key, data)
	})
}

// openIndependently: two descriptors have offsets of their own, and read on
// after the object was deleted.
func openIndependently(t T, b store.Backend, o store.FileOpener, key store.Key, data []byte) {
	first, err := o.OpenFile(t.Context(), key)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer first.Close()
	if _, err := io.CopyN(io.Discard, first, 60_000); err != nil {
		t.Fatalf("read: %v", err)
	}
	second, err := o.OpenFile(t.Context(), key)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer second.Close()
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if got, err := io.ReadAll(second); err != nil || !bytes.Equal(got, data) {
		t.Errorf("second file: %s, %v", difference(got, data), err)
	}
	if got, err := io.ReadAll(first); err != nil || !bytes.Equal(got, data[60_000:]) {
		t.Errorf("rest of the first file: %s, %v", difference(got, data[60_000:]), err)
	}
}

func runDirMaker(t T, open Open) {
	t.Run("make directories", func(t T) {
		b := opened(t, open)
		d, ok := b.(store.DirMaker)
		if !ok {
			t.Logf("the backend wants no directories")
			return
		}
		for range 2 {
			if err := d.MakeDir(t.Context(), dir); err != nil {
				t.Fatalf("make directory: %v", err)
			}
		}
		wantKeys(t, "list of an empty directory", list(t, b, "", ""), nil)
		key := put(t, b, []byte("x"))
		if err := d.MakeDir(t.Context(), dir); err != nil {
			t.Errorf("make a directory that has objects: %v", err)
		}
		wantBytes(t, b, key, []byte("x"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, "make directory", d.MakeDir(ctx, "00000002"), context.Canceled)
	})
}
