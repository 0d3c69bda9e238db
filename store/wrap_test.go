package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

// asBackend lets the suite run on a Store: what it adds must not change the
// contract.
type asBackend struct {
	*store.Store
	store.Composer
	store.Browser
	store.BatchDeleter
	storetest.ForeignPutter

	marks store.Backend
}

func (a asBackend) Mark(ctx context.Context) (string, error) { return a.marks.Mark(ctx) }

// Delete tries foreign objects again, as the caller has to who knows that nobody
// replaces them meanwhile.
func (a asBackend) Delete(ctx context.Context, key store.Key) error {
	err := a.Store.Delete(ctx, key)
	if _, foreign := key.Foreign(); foreign && errors.Is(err, errBroken) {
		return a.Store.Delete(ctx, key)
	}
	return err
}

func (a asBackend) SetMark(ctx context.Context, id string) error { return a.marks.SetMark(ctx, id) }

// through is a Store over b, which is over inner.
func through(t *testing.T, b store.Backend, inner *mem.Backend, o store.Options) asBackend {
	t.Helper()
	s := store.New("disk", b, o)
	composer, composes := s.Composer()
	browser, browses := s.Browser()
	deleter, deletes := s.BatchDeleter()
	if !composes || !browses || !deletes {
		t.Fatal("the store has lost what its backend can do")
	}
	return asBackend{s, composer, browser, deleter, inner, inner}
}

func TestStoreKeepsTheContract(t *testing.T) {
	gotest.Run(t, func(t *testing.T) store.Backend {
		b := mem.New()
		return through(t, b, b, store.Options{})
	})
}

// TestStoreKeepsTheContractOverFaults: of what may be tried again, every other
// call fails, by turns in each way there is.
func TestStoreKeepsTheContractOverFaults(t *testing.T) {
	gotest.Run(t, func(t *testing.T) store.Backend {
		b := mem.New()
		f := storetest.NewFaultyObjects(b)
		f.Otherwise(func(op storetest.Op, call int) storetest.Fault {
			broken := op == storetest.OpGet || op == storetest.OpList || op == storetest.OpBrowse
			switch {
			case op == storetest.OpPut || call%2 == 0:
				return storetest.Fault{}
			case call%4 == 1 && broken:
				return storetest.Fault{Break: errBroken, Intact: 700}
			case call%4 == 1 && op != storetest.OpBeginCompose && op != storetest.OpUnfinished:
				return storetest.Fault{After: errBroken}
			}
			return storetest.Fault{Before: errBroken}
		})
		return through(t, f, b, store.Options{Attempts: 100, Sleep: noSleep})
	})
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestClaim(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name  string
		mark  string // "": none
		known bool
		want  error
		after string
	}{
		{"new and unmarked", "", false, nil, "me disk"},
		{"known and marked", "me disk", true, nil, "me disk"},
		{"marked before it was recorded as known", "me disk", false, nil, "me disk"},
		{"marked before marks had names", "me", true, nil, "me disk"},
		{"marked before marks had names, and not recorded as known", "me", false, nil, "me disk"},
		{"another store of this installation", "me other", true, store.ErrForeign, "me other"},
		{"another store of this installation, not known", "me other", false, store.ErrForeign, "me other"},
		{"of the same name, of another installation", "you disk", true, store.ErrForeign, "you disk"},
		{"known and unmarked", "", true, store.ErrUnmarked, ""},
		{"another's", "you", false, store.ErrForeign, "you"},
		{"another's, known", "you", true, store.ErrForeign, "you"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mem.New()
			if c.mark != "" {
				if err := b.SetMark(t.Context(), c.mark); err != nil {
					t.Fatal(err)
				}
			}
			s := store.New("disk", b, store.Options{})
			var foreign error
			if errors.Is(c.want, store.ErrForeign) {
				foreign = store.ErrForeign
			}
			if marked, err := s.Judge(t.Context(), "me"); marked != (c.mark != "") || !errors.Is(err, foreign) {
				t.Errorf("judged before: %v, %v", marked, err)
			}
			for range 2 {
				err := s.Claim(t.Context(), "me", c.known)
				if !errors.Is(err, c.want) {
					t.Errorf("claim: %v, want %v", err, c.want)
				}
				if err != nil && !strings.Contains(err.Error(), `"disk"`) {
					t.Errorf("the message does not name the store: %v", err)
				}
			}
			if got, _ := b.Mark(t.Context()); got != c.after {
				t.Errorf("mark after: %q, want %q", got, c.after)
			}
		})
	}
	t.Run("a mark that cannot be read is not overwritten", func(t *testing.T) {
		b := &unreadable{mem.New(), broken}
		if err := store.New("disk", b, store.Options{}).Claim(t.Context(), "me", false); !errors.Is(err, broken) {
			t.Errorf("claim: %v", err)
		}
		if _, err := b.Backend.Mark(t.Context()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("mark: %v", err)
		}
	})
	t.Run("two names of one place", func(t *testing.T) {
		for _, before := range []string{"", "me"} {
			b := mem.New()
			if before != "" {
				if err := b.SetMark(t.Context(), before); err != nil {
					t.Fatal(err)
				}
			}
			one, two := store.New("one", b, store.Options{}), store.New("two", b, store.Options{})
			if err := one.Claim(t.Context(), "me", before != ""); err != nil {
				t.Fatal(err)
			}
			err := two.Claim(t.Context(), "me", before != "")
			if !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), `store "two" is marked as store "one"`) || strings.Contains(err.Error(), "another installation") {
				t.Errorf("marked %q before: %v", before, err)
			}
			if err := one.Claim(t.Context(), "me", true); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("two at once", func(t *testing.T) {
		b := &racing{Backend: mem.New()}
		if err := store.New("disk", b, store.Options{}).Claim(t.Context(), "me", false); !errors.Is(err, store.ErrForeign) {
			t.Errorf("claim: %v", err)
		}
	})
}

// unreadable fails to read its mark.
type unreadable struct {
	*mem.Backend
	err error
}

func (u *unreadable) Mark(context.Context) (string, error) { return "", u.err }

// racing is marked by another just before it is marked.
type racing struct{ *mem.Backend }

func (r *racing) SetMark(ctx context.Context, id string) error {
	return errors.Join(r.Backend.SetMark(ctx, "another"), r.Backend.SetMark(ctx, id))
}

func TestCapabilities(t *testing.T) {
	b, err := local.New(local.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		b    store.Backend
		want bool
	}{{b, true}, {mem.New(), false}, {storetest.NewFaulty(b), false}} {
		s := store.New("x", c.b, store.Options{})
		_, assemble := s.Assembler()
		_, open := s.FileOpener()
		_, dirs := s.DirMaker()
		_, strays := s.StrayLister()
		_, space := s.SpaceReporter()
		got := []bool{assemble, open, dirs, strays, space}
		if !slices.Equal(got, slices.Repeat([]bool{c.want}, 5)) {
			t.Errorf("%T: capabilities %v, want all %v", c.b, got, c.want)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestObserve(t *testing.T) {
	var seen []string
	f := storetest.NewFaulty(mem.New())
	s := store.New("disk", f, store.Options{Attempts: 1, Observe: func(op string, err error, d time.Duration) {
		if d < 0 {
			t.Errorf("%s took %v", op, d)
		}
		seen = append(seen, fmt.Sprint(op, " ", err != nil))
	}})
	ctx, key := t.Context(), store.NewKey("00000001")
	broken := errors.New("broken")
	f.Queue(storetest.OpList, storetest.Fault{After: broken})
	check := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	check(s.Put(ctx, key, strings.NewReader("abc"), 3), nil)
	check(s.Put(ctx, key, strings.NewReader("abc"), 3), store.ErrExists)
	check(s.Put(ctx, "no key", nil, 3), store.ErrKey)
	r, err := s.Get(ctx, key, 0, -1)
	check(err, nil)
	check(r.Close(), nil)
	_, err = s.Stat(ctx, key)
	check(err, nil)
	for _, err = range s.List(ctx, "", "") {
	}
	check(err, broken)
	check(s.Delete(ctx, key), nil)
	check(s.Close(), nil)
	want := []string{"put false", "put true", "get false", "stat false", "list true", "delete false"}
	if !slices.Equal(seen, want) {
		t.Errorf("observed %q, want %q", seen, want)
	}
	if s.Name() != "disk" {
		t.Errorf("name %q", s.Name())
	}
}

func TestFaulty(t *testing.T) {
	ctx, key := t.Context(), store.NewKey("00000001")
	f := storetest.NewFaulty(mem.New())
	before, after := errors.New("before"), errors.New("after")
	f.Queue(storetest.OpPut, storetest.Fault{Before: before}, storetest.Fault{After: after})
	put := func() error { return f.Put(ctx, key, strings.NewReader("abcdef"), 6) }
	for i, want := range []error{before, after, store.ErrExists} {
		if err := put(); !errors.Is(err, want) {
			t.Errorf("put %d: %v, want %v", i, err, want)
		}
	}
	f.Queue(storetest.OpGet, storetest.Fault{Truncate: 2}, storetest.Fault{Flip: 1}, storetest.Fault{Flip: 6}, storetest.Fault{Delay: time.Nanosecond})
	for i, want := range []string{"abcd", "\x9ebcdef", "abcde\x99", "abcdef"} {
		r, err := f.Get(ctx, key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, []byte(want)) {
			t.Errorf("get %d: %q, %v, want %q", i, got, err, want)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	f.Queue(storetest.OpDelete, storetest.Fault{Delay: time.Hour}, storetest.Fault{After: after})
	if err := f.Delete(ended, key); !errors.Is(err, context.Canceled) {
		t.Errorf("delayed delete: %v", err)
	}
	if err := f.Delete(ctx, key); !errors.Is(err, after) {
		t.Errorf("delete: %v", err)
	}
	if _, err := f.Stat(ctx, key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stat: %v", err)
	}
	if n := f.Calls(storetest.OpPut); n != 3 {
		t.Errorf("%d puts counted", n)
	}
}
