package local_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

// TestDescriptors: whatever happens to an operation, it leaves no descriptor
// open.
func TestDescriptors(t *testing.T) {
	b := open(t, local.Config{Path: t.TempDir()})
	defer b.Close()
	work := func() { useOnce(t, b) }
	work() // what is opened once and kept is open now
	before := descriptors(t)
	for range 5 {
		work()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// useOnce does each thing a store does, well and badly.
func useOnce(t *testing.T, b *local.Backend) {
	ctx, key := t.Context(), store.NewKey("00000001")
	put := func(body io.Reader) error { return b.Put(ctx, key, body, 100_000) }
	data := random(1, 100_000)
	errs := []error{
		put(strings.NewReader("short")),
		put(io.MultiReader(bytes.NewReader(data), strings.NewReader("long"))),
		put(bytes.NewReader(data)),
		put(bytes.NewReader(data)),
	}
	for i, want := range []error{store.ErrShort, store.ErrShort, nil, store.ErrExists} {
		if !errors.Is(errs[i], want) {
			t.Errorf("put %d: %v, want %v", i, errs[i], want)
		}
	}
	if _, err := b.Get(ctx, key, 1, 100_000); !errors.Is(err, store.ErrRange) {
		t.Errorf("get: %v", err)
	}
	r, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := b.OpenFile(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Assemble(ctx, store.NewKey("00000002"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Sync(ctx), a.Close(), f.Close(), r.Close(), b.Delete(ctx, key)); err != nil {
		t.Error(err)
	}
	for range b.List(ctx, "", "") {
		break
	}
	for range b.Strays(ctx) {
	}
}
