package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// stream hides that a reader can be rewound.
type stream struct{ io.Reader }

// failingSeeker is a body that cannot be read, but rewound.
type failingSeeker struct{ *strings.Reader }

func (failingSeeker) Read([]byte) (int, error) { return 0, errBroken }

// TestPutsAreTriedAgain where the body can be given once more.
func TestPutsAreTriedAgain(t *testing.T) {
	lost, down := storetest.Fault{After: errBroken}, storetest.Fault{Before: errBroken}
	cut := storetest.Fault{Break: errBroken, Intact: 2}
	from := func(off int64) io.Reader {
		r := strings.NewReader("__abcdef")
		if _, err := r.Seek(off, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		name  string
		body  io.Reader
		puts  []storetest.Fault
		gets  []storetest.Fault
		want  error
		calls int
	}{
		{"not answered", from(2), []storetest.Fault{down, down}, nil, nil, 3},
		{"answer lost", from(2), []storetest.Fault{lost}, nil, nil, 2},
		{"answers lost", from(2), []storetest.Fault{down, lost, down}, nil, nil, 4},
		{"answer lost, and what was put is read with trouble", from(2), []storetest.Fault{lost}, []storetest.Fault{down, cut, down, cut}, nil, 2},
		{"answer lost, and what was put cannot be read", from(2), []storetest.Fault{lost}, []storetest.Fault{down, down, down, down}, nil, 3},
		{"a stream", stream{from(2)}, []storetest.Fault{down}, nil, errBroken, 1},
		{"a stream whose answer was lost", stream{from(2)}, []storetest.Fault{lost}, nil, errBroken, 1},
		{"a body that fails", failingSeeker{strings.NewReader("abcdef")}, nil, nil, errBroken, 1},
		{"too short", from(3), nil, nil, store.ErrShort, 1},
		{"too long", from(1), nil, nil, store.ErrShort, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRetried(t)
			key := store.NewKey("00000001")
			r.faults.Queue(storetest.OpPut, c.puts...)
			r.faults.Queue(storetest.OpGet, c.gets...)
			err := r.Put(t.Context(), key, c.body, 6)
			if !errors.Is(err, c.want) || r.faults.Calls(storetest.OpPut) != c.calls {
				t.Errorf("put: %v after %d calls, want %v after %d", err, r.faults.Calls(storetest.OpPut), c.want, c.calls)
			}
			if c.want == nil {
				wantRead(t, r.Store, key, 0, -1, "abcdef", nil)
			}
		})
	}
}

// half takes a part of a body before it fails.
type half struct {
	storetest.FaultyObjects
	failures int
}

func (h *half) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if h.failures--; h.failures >= 0 {
		_, err := io.CopyN(io.Discard, r, size/2)
		return errors.Join(errBroken, err)
	}
	return h.FaultyObjects.Put(ctx, key, r, size)
}

func TestPutsBeginAnew(t *testing.T) {
	r := newRetried(t)
	s := store.New("far", &half{r.faults, 3}, store.Options{Sleep: noSleep})
	key := store.NewKey("00000001")
	if err := s.Put(t.Context(), key, strings.NewReader("abcdef"), 6); err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, key, 0, -1, "abcdef", nil)
}

// TestPutsNeverCoverWhatIsThere: neither what another has put, nor what was
// there before.
func TestPutsNeverCoverWhatIsThere(t *testing.T) {
	for _, there := range []string{"abcdeF", "abcde", "abcdefg", "", strings.Repeat("abcdef", 100_000)} {
		r := newRetried(t)
		key := store.NewKey("00000001")
		r.faults.Queue(storetest.OpPut, storetest.Fault{Before: errBroken})
		if err := r.inner.Put(t.Context(), key, strings.NewReader(there), int64(len(there))); err != nil {
			t.Fatal(err)
		}
		if err := r.Put(t.Context(), key, strings.NewReader("abcdef"), 6); !errors.Is(err, store.ErrExists) {
			t.Errorf("put over %.10q: %v", there, err)
		}
		wantRead(t, r.Store, key, 0, -1, there, nil)
	}
	// Equal bytes are no excuse, where nothing was lost.
	r := newRetried(t)
	if err := r.Put(t.Context(), r.key, strings.NewReader("abcdef"), 6); !errors.Is(err, store.ErrExists) || r.faults.Calls(storetest.OpGet) > 0 {
		t.Errorf("put over an equal object: %v", err)
	}
}

// TestLargePutsAreCompared beyond one buffer.
func TestLargePutsAreCompared(t *testing.T) {
	for _, size := range []int{0, 256<<10 - 1, 256 << 10, 256<<10 + 1, 700_000} {
		data := bytes.Repeat([]byte("x"), size)
		r := newRetried(t)
		r.faults.Queue(storetest.OpPut, storetest.Fault{After: errBroken})
		if err := r.Put(t.Context(), store.NewKey("00000001"), bytes.NewReader(data), int64(size)); err != nil {
			t.Errorf("%d bytes whose answer was lost: %v", size, err)
		}
		if size == 0 {
			continue
		}
		key := store.NewKey("00000001")
		if err := r.inner.Put(t.Context(), key, bytes.NewReader(data), int64(size)); err != nil {
			t.Fatal(err)
		}
		data[size-1]++
		r.faults.Queue(storetest.OpPut, storetest.Fault{Before: errBroken})
		if err := r.Put(t.Context(), key, bytes.NewReader(data), int64(size)); !errors.Is(err, store.ErrExists) {
			t.Errorf("%d bytes whose last is another: %v", size, err)
		}
	}
}
