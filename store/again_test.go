package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// errBroken is an error that may pass.
const errBroken = brokenError("broken")

type brokenError string

func (e brokenError) Error() string { return string(e) }

// files is a backend whose objects are files.
type files struct{ store.Backend }

func (files) OpenFile(context.Context, store.Key) (*os.File, error) { return nil, store.ErrNotFound }

// wantRead reads a range to its end.
func wantRead(t *testing.T, s *store.Store, key store.Key, off, n int64, want string, wantErr error) {
	t.Helper()
	rc, err := s.Get(t.Context(), key, off, n)
	if err != nil {
		t.Errorf("get: %v", err)
		return
	}
	got, err := io.ReadAll(rc)
	if string(got) != want || !errors.Is(err, wantErr) || err != nil && wantErr == nil {
		t.Errorf("read %d bytes %.20q, error %v; want %d bytes %.20q, error %v", len(got), got, err, len(want), want, wantErr)
	}
	if err := rc.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestBodiesAreGoneOnWith(t *testing.T) {
	cut := func(n int64) storetest.Fault { return storetest.Fault{Break: errBroken, Intact: n} }
	down := storetest.Fault{Before: errBroken}
	for _, c := range []struct {
		name   string
		off, n int64
		faults []storetest.Fault
		want   string
		err    error
		tries  int // after the first
	}{
		{"whole", 0, -1, nil, "abcdef", nil, 0},
		{"at once", 0, -1, []storetest.Fault{cut(0)}, "abcdef", nil, 1},
		{"midway", 0, -1, []storetest.Fault{cut(2)}, "abcdef", nil, 1},
		{"three times", 0, -1, []storetest.Fault{cut(2), cut(1), cut(2)}, "abcdef", nil, 3},
		{"too often", 0, -1, []storetest.Fault{cut(2), cut(1), cut(0), cut(1)}, "abcd", errBroken, 3},
		{"a range", 1, 4, []storetest.Fault{cut(2), cut(1)}, "bcde", nil, 2},
		{"after the last byte of a range", 1, 4, []storetest.Fault{cut(4)}, "bcde", nil, 0},
		{"after the last byte", 2, -1, []storetest.Fault{cut(4)}, "cdef", nil, 1},
		{"ends early", 0, -1, []storetest.Fault{{Truncate: 2}}, "abcd", nil, 0},
		{"a range ends early", 0, 6, []storetest.Fault{{Truncate: 2}}, "abcdef", nil, 1},
		{"and is not answered", 0, -1, []storetest.Fault{cut(2), down, down}, "abcdef", nil, 3},
		{"and is not answered at all", 0, -1, []storetest.Fault{cut(2), down, down, down}, "ab", errBroken, 3},
		{"and is gone", 0, -1, []storetest.Fault{cut(2), {Before: store.ErrNotFound}}, "ab", store.ErrNotFound, 1},
		{"and is shorter", 0, -1, []storetest.Fault{cut(2), {Before: store.ErrRange}}, "ab", store.ErrRange, 1},
		{"damaged", 0, 6, []storetest.Fault{{Break: store.ErrDamaged, Intact: 6}}, "abcdef", store.ErrDamaged, 0},
		{"nothing", 6, 0, []storetest.Fault{cut(0)}, "", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRetried(t)
			r.faults.Queue(storetest.OpGet, c.faults...)
			wantRead(t, r.Store, r.key, c.off, c.n, c.want, c.err)
			if len(r.pauses) != c.tries {
				t.Errorf("%d pauses, want %d", len(r.pauses), c.tries)
			}
		})
	}
}

// TestBodiesThatGetOn are not given up, however often they break.
func TestBodiesThatGetOn(t *testing.T) {
	r := newRetried(t)
	data := bytes.Repeat([]byte("0123456789abcde\n"), 256<<10)
	key := store.NewKey("00000001")
	if err := r.inner.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	r.faults.Otherwise(func(storetest.Op, int) storetest.Fault { return storetest.Fault{Break: errBroken, Intact: 64 << 10} })
	wantRead(t, r.Store, key, 0, int64(len(data)), string(data), nil)
	if n := r.faults.Calls(storetest.OpGet); n != 64 {
		t.Errorf("%d calls for 64 pieces", n)
	}
	for i, d := range r.pauses {
		if d != r.pauses[0] {
			t.Errorf("pause %d is %v: the storage was taken for one that fails all the time", i, d)
		}
	}
}

func TestBodiesEndWithTheirContext(t *testing.T) {
	r := newRetried(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.faults.Queue(storetest.OpGet, storetest.Fault{Break: errBroken, Intact: 2})
	rc, err := r.Get(ctx, r.key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 2)
	if _, err := io.ReadFull(rc, p); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 2 {
		if n, err := rc.Read(p); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("read %d bytes, error %v", n, err)
		}
	}
	if err := rc.Close(); err != nil || r.faults.Calls(storetest.OpGet) != 1 {
		t.Errorf("close: %v, after %d calls", err, r.faults.Calls(storetest.OpGet))
	}
}

func TestListsAreGoneOnWith(t *testing.T) {
	r := newRetried(t)
	var want []store.Key
	for i := range uint32(20) {
		key := store.NewKey(store.DirOf(i))
		want = append(want, key)
		if err := r.inner.Put(t.Context(), key, strings.NewReader(""), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.inner.Delete(t.Context(), r.key); err != nil {
		t.Fatal(err)
	}
	// One entry a call, and two calls in between that have none.
	r.faults.Otherwise(func(_ storetest.Op, call int) storetest.Fault {
		if call%3 == 0 {
			return storetest.Fault{Break: errBroken, Intact: 1}
		}
		return storetest.Fault{Before: errBroken}
	})
	var got []store.Key
	for info, err := range r.List(t.Context(), "", "") {
		if err != nil {
			t.Fatalf("after %d keys: %v", len(got), err)
		}
		got = append(got, info.Key)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %v\nwant %v", got, want)
	}
	r.faults.Otherwise(func(storetest.Op, int) storetest.Fault { return storetest.Fault{Before: errBroken} })
	n := 0
	for _, err := range r.List(t.Context(), "", "") {
		if n++; !errors.Is(err, errBroken) || n > 1 {
			t.Errorf("entry %d of a list that fails: %v", n, err)
		}
	}
}

// TestUnfinishedIsNotGoneOnWith: what was yielded would be yielded again.
func TestUnfinishedIsNotGoneOnWith(t *testing.T) {
	r := newRetried(t)
	composer, _ := r.Composer()
	for range 3 {
		if _, err := composer.BeginCompose(t.Context(), store.NewKey("00000001")); err != nil {
			t.Fatal(err)
		}
	}
	r.faults.Queue(storetest.OpUnfinished, storetest.Fault{Before: errBroken}, storetest.Fault{Break: errBroken, Intact: 2})
	var got []bool
	for _, err := range composer.Unfinished(t.Context()) {
		got = append(got, errors.Is(err, errBroken))
	}
	if fmt.Sprint(got) != "[false false true]" || r.faults.Calls(storetest.OpUnfinished) != 2 {
		t.Errorf("failed: %v after %d calls", got, r.faults.Calls(storetest.OpUnfinished))
	}
}
