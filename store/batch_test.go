package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// picky is a backend that fails to delete some of many, and counts.
type picky struct {
	*mem.Backend

	refuse  func(try int, k store.Key) error
	asked   []int // how many keys each request had
	singles []store.Key
}

func (p *picky) DeleteAll(ctx context.Context, keys []store.Key) iter.Seq2[store.Key, error] {
	p.asked = append(p.asked, len(keys))
	try := len(p.asked)
	return func(yield func(store.Key, error) bool) {
		for _, k := range keys {
			if !k.Valid() {
				panic(k)
			}
			err := p.refuse(try, k)
			if err == nil {
				err = p.Backend.Delete(ctx, k)
			}
			if err != nil && !yield(k, err) {
				return
			}
		}
	}
}

func (p *picky) Delete(ctx context.Context, k store.Key) error {
	p.singles = append(p.singles, k)
	return p.Backend.Delete(ctx, k)
}

// TestDeletingManyAgain: only what a request failed to delete is asked for
// again, what is answered for good is not, and each key has its own error.
func TestDeletingManyAgain(t *testing.T) {
	keys := make([]store.Key, 6)
	for i := range keys {
		keys[i] = store.NewKey("00000001")
	}
	final := fmt.Errorf("for good: %w", store.ErrClock)
	passing := fmt.Errorf("passing: %w", errBroken)
	for _, c := range []struct {
		name   string
		refuse func(try int, k store.Key) error
		asked  string
		told   map[store.Key]error
		failed bool // as it is observed
	}{
		{"all is well", func(int, store.Key) error { return nil }, "[6]", nil, false},
		{"two pass", func(try int, k store.Key) error {
			if i := slices.Index(keys, k); i == 1 && try < 4 || i == 3 && try < 3 {
				return passing
			}
			return nil
		}, "[6 2 2 1]", nil, false},
		{"one is kept", func(_ int, k store.Key) error {
			if k == keys[2] {
				return final
			}
			return nil
		}, "[6]", map[store.Key]error{keys[2]: final}, true},
		{"one is kept, one passes, one does not", func(try int, k store.Key) error {
			switch i := slices.Index(keys, k); {
			case i == 0:
				return final
			case i == 1 && try < 2, i == 5:
				return passing
			}
			return nil
		}, "[6 2 1 1]", map[store.Key]error{keys[0]: final, keys[5]: passing}, true},
	} {
		var seen []string
		p := &picky{Backend: mem.New(), refuse: c.refuse}
		s := store.New("far", p, store.Options{Sleep: noSleep, Observe: func(op string, err error, _ time.Duration) {
			seen = append(seen, fmt.Sprint(op, " ", err != nil))
		}})
		for _, k := range keys {
			if err := p.Put(t.Context(), k, strings.NewReader("x"), 1); err != nil {
				t.Fatal(err)
			}
		}
		told := map[store.Key]error{}
		d, _ := s.BatchDeleter()
		for k, err := range d.DeleteAll(t.Context(), keys) {
			told[k] = err
			if !errors.Is(err, c.told[k]) || !strings.Contains(err.Error(), `in store "far"`) {
				t.Errorf("%s: %v, want %v", c.name, err, c.told[k])
			}
		}
		for _, k := range keys {
			if _, err := p.Stat(t.Context(), k); (err == nil) != (c.told[k] != nil) || (told[k] != nil) != (err == nil) {
				t.Errorf("%s: told %v of an object, and it is %v", c.name, told[k], err)
			}
		}
		if got := fmt.Sprint(p.asked); got != c.asked || len(p.singles) != 0 {
			t.Errorf("%s: asked for %s and for %v", c.name, got, p.singles)
		}
		if want := fmt.Sprint("delete ", c.failed); len(seen) != 1 || seen[0] != want {
			t.Errorf("%s: observed %v, want %s", c.name, seen, want)
		}
	}
}

// TestDeletingManySingly: foreign names never go into a request for many, of
// which one has 1000 at most; a storage that does not serve such requests, or not
// to this account, is asked one by one; a key that is none is told of.
func TestDeletingManySingly(t *testing.T) {
	foreign := store.ForeignKey("theirs")
	keys := []store.Key{foreign, "none"}
	p := &picky{Backend: mem.New(), refuse: func(try int, k store.Key) error {
		switch {
		case try == 1 && k == keys[7]:
			return fmt.Errorf("not in a request for many: %w", store.ErrDenied)
		case try == 2:
			return fmt.Errorf("no such call: %w", store.ErrUnsupported)
		}
		return nil
	}}
	s := store.New("far", p, store.Options{Sleep: noSleep, MaxInFlight: 1})
	for range 1003 {
		keys = append(keys, store.NewKey("00000001"))
		if err := p.Put(t.Context(), keys[len(keys)-1], strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.PutForeign(t.Context(), "theirs", "", nil); err != nil {
		t.Fatal(err)
	}
	d, _ := s.BatchDeleter()
	for k, err := range d.DeleteAll(t.Context(), keys) {
		if k != "none" || !errors.Is(err, store.ErrKey) {
			t.Errorf("%s: %v", k, err)
		}
	}
	if got := fmt.Sprint(p.asked); got != "[1000 3]" || len(p.singles) != 5 || !slices.Contains(p.singles, foreign) {
		t.Errorf("asked for %s and for %v", got, p.singles)
	}
	for _, k := range append(keys[2:], foreign) {
		if _, err := p.Stat(t.Context(), k); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s is still there: %v", k, err)
		}
	}
}
