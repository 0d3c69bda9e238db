package store

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"time"
)

// Store is a backend with a name. What every backend needs is here once:
// the check of keys, the installation's mark, the discovery of capabilities,
// metrics, and for object stores, which are all but those whose objects are
// files of this machine, trying again and a limit. Its methods have the
// contracts of Backend.
type Store struct {
	name     string
	b        Backend
	observe  func(op string, err error, d time.Duration)
	patience *patience
	calls    limit // the short ones
	writes   limit // puts, which last as long as their clients take
	joins    limit // compositions, which last, too
	// shut points to why nothing but Check and Claim may reach the storage.
	shut atomic.Pointer[error]

	assembler Assembler
	opener    FileOpener
	dirs      DirMaker
	strays    StrayLister
	space     SpaceReporter
	composer  Composer
	browser   Browser
	checker   Checker
	deleter   BatchDeleter
}

// New makes a Store called name over b and owns b from then on: Close closes it.
func New(name string, b Backend, o Options) *Store {
	o = o.withDefaults()
	s := &Store{name: name, b: b, observe: o.Observe}
	s.assembler, _ = b.(Assembler)
	s.opener, _ = b.(FileOpener)
	s.dirs, _ = b.(DirMaker)
	s.strays, _ = b.(StrayLister)
	s.space, _ = b.(SpaceReporter)
	s.composer, _ = b.(Composer)
	s.browser, _ = b.(Browser)
	s.checker, _ = b.(Checker)
	s.deleter, _ = b.(BatchDeleter)
	if s.opener == nil {
		s.patience = newPatience(o)
		s.calls, s.writes, s.joins = make(limit, o.MaxInFlight), make(limit, o.MaxInFlight), make(limit, o.MaxInFlight)
	}
	return s
}

// Name is the store's name in the configuration and in blob rows.
func (s *Store) Name() string { return s.name }

// Assembler gives the backend's in-place assembly, if it has one.
func (s *Store) Assembler() (Assembler, bool) { return s.assembler, s.assembler != nil }

// FileOpener gives the backend's access to files, if its objects are files.
func (s *Store) FileOpener() (FileOpener, bool) { return s.opener, s.opener != nil }

// DirMaker gives the backend's making of directories, if it wants them made.
func (s *Store) DirMaker() (DirMaker, bool) { return s.dirs, s.dirs != nil }

// StrayLister gives the backend's listing of what is no object, if it has one.
func (s *Store) StrayLister() (StrayLister, bool) { return s.strays, s.strays != nil }

// SpaceReporter gives the backend's report of room, if it knows.
func (s *Store) SpaceReporter() (SpaceReporter, bool) { return s.space, s.space != nil }

// Composer gives the backend's joining of objects, if it joins them, with what
// a Store adds.
func (s *Store) Composer() (Composer, bool) {
	if s.composer == nil {
		return nil, false
	}
	return composer{s}, true
}

// Browser gives the backend's access to foreign objects, if it has one, with
// what a Store adds.
func (s *Store) Browser() (Browser, bool) {
	if s.browser == nil {
		return nil, false
	}
	return browser{s}, true
}

// Check is Checker.Check, and nil where the backend is none.
func (s *Store) Check(ctx context.Context) error {
	if s.checker == nil {
		return nil
	}
	if err := s.patience.try(ctx, "check", func() error { return s.checker.Check(ctx) }); err != nil {
		return s.named("check", err)
	}
	return nil
}

// Note is Noter.Note, and "" where the backend is none.
func (s *Store) Note() string {
	n, ok := s.b.(Noter)
	if !ok {
		return ""
	}
	return n.Note()
}

// Put is Backend.Put. On an object store it is tried again only where r is an
// io.ReadSeeker, from where it stands.
func (s *Store) Put(ctx context.Context, key Key, r io.Reader, size int64) error {
	if err := key.Check(); err != nil {
		return s.named("put", err)
	}
	return s.observed("put", func() error { return s.put(ctx, key, r, size) })
}

// Get is Backend.Get. A body of an object store that breaks is gone on with.
func (s *Store) Get(ctx context.Context, key Key, off, n int64) (rc io.ReadCloser, err error) {
	err = s.do("get", key, func() error {
		rc, err = s.open(ctx, key, off, n)
		return err
	})
	return rc, err
}

// Stat is Backend.Stat.
func (s *Store) Stat(ctx context.Context, key Key) (info Info, err error) {
	err = s.do("stat", key, func() error {
		return s.call(ctx, "stat", func() error {
			info, err = s.b.Stat(ctx, key)
			return err
		})
	})
	return info, err
}

// Delete is Backend.Delete. A foreign object is tried once: where the answer was
// lost somebody may have put another one under its name before the second try.
func (s *Store) Delete(ctx context.Context, key Key) error {
	return s.do("delete", key, func() error {
		if _, foreign := key.Foreign(); foreign {
			return s.calls.hold(ctx, func() error { return s.b.Delete(ctx, key) })
		}
		return s.call(ctx, "delete", func() error { return s.b.Delete(ctx, key) })
	})
}

// List is Backend.List.
func (s *Store) List(ctx context.Context, prefix string, after Key) iter.Seq2[Info, error] {
	return listing(ctx, s, "list", after,
		func(after Key) iter.Seq2[Info, error] { return s.b.List(ctx, prefix, after) },
		func(i Info) Key { return i.Key })
}

// Close is Backend.Close.
func (s *Store) Close() error {
	if err := s.b.Close(); err != nil {
		return s.named("close", err)
	}
	return nil
}

// do checks the key, runs f and reports it.
func (s *Store) do(op string, key Key, f func() error) error {
	err := key.Check()
	if s.browser != nil {
		err = key.CheckAny()
	}
	if err != nil {
		return s.named(op, err)
	}
	return s.observed(op, f)
}

// observed runs f and reports it.
func (s *Store) observed(op string, f func() error) error {
	if err := s.admitted(); err != nil {
		return s.named(op, err)
	}
	start := time.Now()
	err := f()
	s.observe(op, err, time.Since(start))
	if err != nil {
		return s.named(op, err)
	}
	return nil
}

// call is one short call of the backend, tried again where that may help.
func (s *Store) call(ctx context.Context, op string, f func() error) error {
	return s.patience.try(ctx, op, func() error { return s.calls.hold(ctx, f) })
}

func (s *Store) named(op string, err error) error {
	return fmt.Errorf("%s in store %q: %w", op, s.name, err)
}
