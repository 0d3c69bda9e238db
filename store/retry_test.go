package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// retried is a store over faults, with all that was asked of its options.
type retried struct {
	*store.Store
	faults storetest.FaultyObjects
	inner  *mem.Backend
	key    store.Key // of an object "abcdef"
	pauses []time.Duration
	events []string
}

func newRetried(t *testing.T) *retried {
	t.Helper()
	r := &retried{inner: mem.New(), key: store.NewKey("00000001")}
	if err := r.inner.Put(t.Context(), r.key, strings.NewReader("abcdef"), 6); err != nil {
		t.Fatal(err)
	}
	r.faults = storetest.NewFaultyObjects(r.inner)
	r.Store = store.New("far", r.faults, store.Options{
		Observe: func(op string, err error, _ time.Duration) {
			r.events = append(r.events, fmt.Sprint(op, " ", err != nil))
		},
		Retried: func(op string, err error) {
			if !errors.Is(err, errBroken) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s is tried again after %v", op, err)
			}
			r.events = append(r.events, "again "+op)
		},
		Sleep: func(ctx context.Context, d time.Duration) error {
			r.pauses = append(r.pauses, d)
			return ctx.Err()
		},
		Rand: func(n int64) int64 { return n - 1 },
	})
	return r
}

// operation is one that is tried again.
type operation struct {
	name string // as it is observed; "": it is not
	op   storetest.Op
	run  func(context.Context, *retried) error
}

func operations() []operation {
	composer := func(r *retried) store.Composer {
		c, _ := r.Composer()
		return c
	}
	browser := func(r *retried) store.Browser {
		b, _ := r.Browser()
		return b
	}
	return []operation{
		{"get", storetest.OpGet, func(ctx context.Context, r *retried) error {
			rc, err := r.Get(ctx, r.key, 0, -1)
			if err != nil {
				return err
			}
			return rc.Close()
		}},
		{"stat", storetest.OpStat, func(ctx context.Context, r *retried) error {
			_, err := r.Stat(ctx, r.key)
			return err
		}},
		{"delete", storetest.OpDelete, func(ctx context.Context, r *retried) error { return r.Delete(ctx, store.NewKey("00000001")) }},
		{"delete", storetest.OpDeleteAll, func(ctx context.Context, r *retried) (err error) {
			d, _ := r.BatchDeleter()
			for _, err = range d.DeleteAll(ctx, []store.Key{store.NewKey("00000001"), r.key}) {
			}
			return err
		}},
		{"list", storetest.OpList, func(ctx context.Context, r *retried) (err error) {
			for _, err = range r.List(ctx, "", "") {
			}
			return err
		}},
		{"put", storetest.OpPut, func(ctx context.Context, r *retried) error {
			return r.Put(ctx, store.NewKey("00000001"), strings.NewReader("abc"), 3)
		}},
		{"begin_compose", storetest.OpBeginCompose, func(ctx context.Context, r *retried) error {
			_, err := composer(r).BeginCompose(ctx, store.NewKey("00000001"))
			return err
		}},
		{"compose", storetest.OpCompose, func(ctx context.Context, r *retried) error {
			key := store.NewKey("00000001")
			id, err := r.inner.BeginCompose(ctx, key)
			if err != nil {
				return err
			}
			verified, err := composer(r).Compose(ctx, key, id, []store.Piece{{Key: r.key, Length: 3}})
			if err == nil && !verified {
				return errors.New("lost that it is verified")
			}
			return err
		}},
		{"abandon_compose", storetest.OpAbandonCompose, func(ctx context.Context, r *retried) error {
			return composer(r).AbandonCompose(ctx, store.NewKey("00000001"), "1")
		}},
		{"unfinished", storetest.OpUnfinished, func(ctx context.Context, r *retried) (err error) {
			for _, err = range composer(r).Unfinished(ctx) {
			}
			return err
		}},
		{"browse", storetest.OpBrowse, func(ctx context.Context, r *retried) (err error) {
			for _, err = range browser(r).Browse(ctx, "", "") {
			}
			return err
		}},
		{"describe", storetest.OpDescribe, func(ctx context.Context, r *retried) error {
			if err := r.inner.PutForeign(ctx, "x", "", nil); err != nil {
				return err
			}
			_, err := browser(r).Describe(ctx, "x")
			return err
		}},
		{"marked", storetest.OpMarked, func(ctx context.Context, r *retried) error {
			_, err := browser(r).Marked(ctx, "x/")
			return err
		}},
		{"", storetest.OpCheck, func(ctx context.Context, r *retried) error { return r.Check(ctx) }},
		{"", storetest.OpMark, func(ctx context.Context, r *retried) error {
			if err := r.inner.SetMark(ctx, "me "+r.Name()); err != nil {
				return err
			}
			return r.Claim(ctx, "me", true)
		}},
	}
}

func TestOperationsAreTriedAgain(t *testing.T) {
	fail := storetest.Fault{Before: errBroken}
	for _, o := range operations() {
		t.Run(string(o.op), func(t *testing.T) {
			for _, c := range []struct {
				faults []storetest.Fault
				calls  int
				want   error
			}{
				{nil, 1, nil},
				{slices.Repeat([]storetest.Fault{fail}, 1), 2, nil},
				{slices.Repeat([]storetest.Fault{fail}, 3), 4, nil},
				{slices.Repeat([]storetest.Fault{fail}, 5), 4, errBroken},
				{[]storetest.Fault{{Before: fmt.Errorf("301: %w", store.ErrRegion)}}, 1, store.ErrRegion},
				{[]storetest.Fault{fail, {Before: store.ErrDamaged}}, 2, store.ErrDamaged},
			} {
				r := newRetried(t)
				r.faults.Queue(o.op, c.faults...)
				err := o.run(t.Context(), r)
				if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), `"far"`) {
					t.Errorf("error %v, want %v of a store with a name", err, c.want)
				}
				r.wantTries(t, o, c.calls, c.want != nil)
			}
		})
	}
}

// wantTries: each try after the first follows a pause and is reported, and the
// whole is observed once.
func (r *retried) wantTries(t *testing.T, o operation, calls int, failed bool) {
	t.Helper()
	if n := r.faults.Calls(o.op); n != calls {
		t.Errorf("%d calls, want %d", n, calls)
	}
	pauses := []time.Duration{100*time.Millisecond - 1, 200*time.Millisecond - 1, 400*time.Millisecond - 1}
	if !slices.Equal(r.pauses, pauses[:calls-1]) {
		t.Errorf("pauses %v for %d calls", r.pauses, calls)
	}
	name := o.name
	if name == "" {
		name = string(o.op)
	}
	want := slices.Repeat([]string{"again " + name}, calls-1)
	if o.name != "" {
		want = append(want, fmt.Sprint(name, " ", failed))
	}
	if !slices.Equal(r.events, want) {
		t.Errorf("reported %q, want %q", r.events, want)
	}
}

// TestNothingIsTriedOnceTheContextHasEnded: the caller's end is not taken for
// an error of the store, and nobody is kept waiting.
func TestNothingIsTriedOnceTheContextHasEnded(t *testing.T) {
	for _, o := range operations() {
		r := newRetried(t)
		ctx, cancel := context.WithCancel(t.Context())
		r.faults.Otherwise(func(op storetest.Op, _ int) storetest.Fault {
			if op == o.op {
				cancel() // while the call runs
			}
			return storetest.Fault{Before: errBroken}
		})
		err := o.run(ctx, r)
		if n := r.faults.Calls(o.op); !errors.Is(err, context.Canceled) || !errors.Is(err, errBroken) || n != 1 || len(r.pauses) > 0 {
			t.Errorf("%s: %v after %d calls and pauses %v", o.op, err, n, r.pauses)
		}
	}
}

// TestPauses: a storage that asks for patience gets it, within bounds.
func TestPauses(t *testing.T) {
	busy := func(d time.Duration) error { return fmt.Errorf("503: %w", &store.BusyError{After: d, Err: errBroken}) }
	r := newRetried(t)
	r.faults.Queue(storetest.OpStat, storetest.Fault{Before: busy(0)}, storetest.Fault{Before: busy(3 * time.Second)}, storetest.Fault{Before: busy(time.Hour)})
	if _, err := r.Stat(t.Context(), r.key); err != nil {
		t.Error(err)
	}
	want := []time.Duration{100*time.Millisecond - 1, 3200*time.Millisecond - 1, 10400*time.Millisecond - 1}
	if !slices.Equal(r.pauses, want) {
		t.Errorf("pauses %v, want %v", r.pauses, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r.pauses = nil
	r.faults.Queue(storetest.OpStat, storetest.Fault{Before: busy(8 * time.Second)})
	if _, err := r.Stat(ctx, r.key); !errors.Is(err, errBroken) || len(r.pauses) > 0 {
		t.Errorf("a pause that lasts longer than there is time: %v, %v", err, r.pauses)
	}
}

// TestStorageThatIsDownIsNotHammered: all operations together have so many
// tries to spare; what is answered earns some again.
func TestStorageThatIsDownIsNotHammered(t *testing.T) {
	r := newRetried(t)
	down := true
	r.faults.Otherwise(func(storetest.Op, int) storetest.Fault {
		if down {
			return storetest.Fault{Before: errBroken}
		}
		return storetest.Fault{}
	})
	stats := func(n int) int {
		before := r.faults.Calls(storetest.OpStat)
		for range n {
			if _, err := r.Stat(t.Context(), r.key); down != (err != nil) {
				t.Fatalf("down: %v, error %v", down, err)
			}
		}
		return r.faults.Calls(storetest.OpStat) - before
	}
	if n := stats(1000); n != 1500 {
		t.Errorf("%d calls for 1000 operations on a storage that is down, want 1500", n)
	}
	down = false
	if n := stats(20); n != 20 {
		t.Errorf("%d calls for 20 operations on one that works", n)
	}
	down = true
	if n := stats(10); n != 12 {
		t.Errorf("%d calls for 10 operations after 20 that were answered, want 12", n)
	}
}

// TestDisksAreNotAskedAgain: neither is anything put between a file and its
// reader.
func TestDisksAreNotAskedAgain(t *testing.T) {
	r := newRetried(t)
	disk := files{r.faults.Faulty}
	s := store.New("disk", disk, store.Options{Sleep: func(context.Context, time.Duration) error {
		t.Error("a pause")
		return nil
	}})
	fail := storetest.Fault{Before: errBroken}
	for _, op := range []storetest.Op{storetest.OpGet, storetest.OpPut, storetest.OpStat, storetest.OpList, storetest.OpMark} {
		r.faults.Queue(op, fail)
	}
	_, err := s.Get(t.Context(), r.key, 0, -1)
	_, err2 := s.Stat(t.Context(), r.key)
	err3 := s.Put(t.Context(), store.NewKey("00000001"), strings.NewReader("x"), 1)
	var err4 error
	for _, err4 = range s.List(t.Context(), "", "") {
	}
	for _, err := range []error{err, err2, err3, err4, s.Claim(t.Context(), "me", false)} {
		if !errors.Is(err, errBroken) {
			t.Errorf("error %v", err)
		}
	}
	r.faults.Queue(storetest.OpGet, storetest.Fault{Break: errBroken, Intact: 3})
	wantRead(t, s, r.key, 0, -1, "abc", errBroken)
}
