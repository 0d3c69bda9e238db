package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/osproxy/osproxy/store"
)

// large is more than any buffer and no multiple of one.
const large = 5<<20 + 1

func putKeepsBytes(t T, b store.Backend) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 100_003, 256 << 10, 256<<10 + 1, large} {
		data := bytesOf(uint64(n), n)
		key := put(t, b, data)
		wantBytes(t, b, key, data)
		key = store.NewKey(dir)
		if err := b.Put(t.Context(), key, &drip{data: data}, int64(n)); err != nil {
			t.Errorf("put %d bytes from a reader that gives little at a time: %v", n, err)
			continue
		}
		wantBytes(t, b, key, data)
	}
}

func putWrongLength(t T, b store.Backend) {
	data := bytesOf(1, large)
	for _, c := range []struct {
		what string
		have int
		size int64
	}{
		{"empty, 1 wanted", 0, 1},
		{"one less", 4095, 4096},
		{"one more", 4097, 4096},
		{"one, none wanted", 1, 0},
		{"large, one less", large - 1, large},
		{"large, one more", large, large - 1},
		{"far too long", large, 10},
		{"negative size", 0, -1},
	} {
		key := store.NewKey(dir)
		err := b.Put(t.Context(), key, bytes.NewReader(data[:c.have]), c.size)
		wantErr(t, c.what, err, store.ErrShort)
		wantAbsent(t, b, key)
	}
	if keys := list(t, b, "", ""); len(keys) > 0 {
		t.Errorf("failed puts left %v", keys)
	}
}

func putFailingReader(t T, b store.Backend) {
	// A reader's error is the reader's, whatever it wraps: an end that a
	// counting reader reports too.
	gone := errors.New("the client went away")
	broken := fmt.Errorf("%w: %w: %w", gone, io.ErrUnexpectedEOF, fs.ErrNotExist)
	data := bytesOf(2, large)
	for _, n := range []int{0, 1, 300_000, large} {
		key := store.NewKey(dir)
		r := io.MultiReader(bytes.NewReader(data[:n]), failing{broken})
		err := b.Put(t.Context(), key, r, large)
		wantErr(t, "reader failed", err, gone)
		if errors.Is(err, store.ErrShort) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("the reader's error was taken for one of the store: %v", err)
		}
		wantAbsent(t, b, key)
	}
}

func putCancelled(t T, b store.Backend) {
	for _, at := range []int{1, 300_000, large} {
		ctx, cancel := context.WithCancel(t.Context())
		key := store.NewKey(dir)
		data := bytesOf(3, large)
		r := io.MultiReader(bytes.NewReader(data[:at]), &calling{cancel}, bytes.NewReader(data[at:]))
		wantErr(t, "put cancelled while its body is read", b.Put(ctx, key, r, large), context.Canceled)
		cancel()
		wantAbsent(t, b, key)
	}
	if keys := list(t, b, "", ""); len(keys) > 0 {
		t.Errorf("cancelled puts left %v", keys)
	}
}

func putExisting(t T, b store.Backend) {
	old := bytesOf(4, 70_000)
	key := put(t, b, old)
	for _, n := range []int{0, 70_000, 80_000} {
		err := b.Put(t.Context(), key, bytes.NewReader(bytesOf(5, n)), int64(n))
		wantErr(t, "second put", err, store.ErrExists)
		wantBytes(t, b, key, old)
	}
	err := b.Put(t.Context(), key, failing{errors.New("broken")}, 10)
	if err == nil {
		t.Errorf("a put that could not read its body succeeded")
	}
	wantBytes(t, b, key, old)
}

func putRaces(t T, b store.Backend) {
	const writers = 16
	key := store.NewKey(dir)
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			data := bytesOf(uint64(100+i), 50_000+i)
			errs[i] = b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)))
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err != nil:
			wantErr(t, "put that lost the race", err, store.ErrExists)
		case winner >= 0:
			t.Errorf("puts %d and %d of one key both succeeded", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		t.Fatalf("no put succeeded: %v", errs[0])
	}
	wantBytes(t, b, key, bytesOf(uint64(100+winner), 50_000+winner))
}

func putAfterFailure(t T, b store.Backend) {
	key := store.NewKey(dir)
	err := b.Put(t.Context(), key, bytes.NewReader([]byte("abc")), 4)
	wantErr(t, "short put", err, store.ErrShort)
	putAt(t, b, key, []byte("abcd"))
	wantBytes(t, b, key, []byte("abcd"))
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// calling is an empty reader that calls f when it is reached.
type calling struct{ f func() }

func (c *calling) Read([]byte) (int, error) {
	c.f()
	return 0, io.EOF
}

// drip gives at most 4,099 bytes at a time, and the last ones with io.EOF.
type drip struct{ data []byte }

func (d *drip) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 4099)], d.data)
	d.data = d.data[n:]
	if len(d.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}
