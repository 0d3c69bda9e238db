package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Options are what a Store may be given besides its backend.
type Options struct {
	// Observe is called after each operation with its name ("put", "get",
	// "stat", "delete", "list"), its result and how long it took: for "get"
	// until the first byte can be read, for "list" until the caller stops.
	// It must be safe for concurrent use. Nil is allowed.
	Observe func(op string, err error, d time.Duration)
}

// Store is a backend with a name. What every backend needs is here once:
// the check of keys, the installation's mark, the discovery of capabilities,
// metrics. Its methods have the contracts of Backend.
type Store struct {
	name    string
	b       Backend
	observe func(op string, err error, d time.Duration)

	assembler Assembler
	opener    FileOpener
	dirs      DirMaker
	strays    StrayLister
	space     SpaceReporter
	composer  Composer
	browser   Browser
	checker   Checker
}

// New makes a Store called name over b and owns b from then on: Close closes it.
func New(name string, b Backend, o Options) *Store {
	s := &Store{name: name, b: b, observe: o.Observe}
	if s.observe == nil {
		s.observe = func(string, error, time.Duration) {}
	}
	s.assembler, _ = b.(Assembler)
	s.opener, _ = b.(FileOpener)
	s.dirs, _ = b.(DirMaker)
	s.strays, _ = b.(StrayLister)
	s.space, _ = b.(SpaceReporter)
	s.composer, _ = b.(Composer)
	s.browser, _ = b.(Browser)
	s.checker, _ = b.(Checker)
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

// Composer gives the backend's joining of objects, if it joins them.
func (s *Store) Composer() (Composer, bool) { return s.composer, s.composer != nil }

// Browser gives the backend's access to foreign objects, if it has one.
func (s *Store) Browser() (Browser, bool) { return s.browser, s.browser != nil }

// Check is Checker.Check, and nil where the backend is none.
func (s *Store) Check(ctx context.Context) error {
	if s.checker == nil {
		return nil
	}
	if err := s.checker.Check(ctx); err != nil {
		return s.named("check", err)
	}
	return nil
}

// Put is Backend.Put.
func (s *Store) Put(ctx context.Context, key Key, r io.Reader, size int64) error {
	if err := key.Check(); err != nil {
		return s.named("put", err)
	}
	return s.do("put", key, func() error { return s.b.Put(ctx, key, r, size) })
}

// Get is Backend.Get.
func (s *Store) Get(ctx context.Context, key Key, off, n int64) (rc io.ReadCloser, err error) {
	err = s.do("get", key, func() error {
		rc, err = s.b.Get(ctx, key, off, n)
		return err
	})
	return rc, err
}

// Stat is Backend.Stat.
func (s *Store) Stat(ctx context.Context, key Key) (info Info, err error) {
	err = s.do("stat", key, func() error {
		info, err = s.b.Stat(ctx, key)
		return err
	})
	return info, err
}

// Delete is Backend.Delete.
func (s *Store) Delete(ctx context.Context, key Key) error {
	return s.do("delete", key, func() error { return s.b.Delete(ctx, key) })
}

// List is Backend.List.
func (s *Store) List(ctx context.Context, prefix string, after Key) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var failed error
		start := time.Now()
		defer func() { s.observe("list", failed, time.Since(start)) }()
		for info, err := range s.b.List(ctx, prefix, after) {
			if err != nil {
				err = s.named("list", err)
				failed = err
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Close is Backend.Close.
func (s *Store) Close() error {
	if err := s.b.Close(); err != nil {
		return s.named("close", err)
	}
	return nil
}

// Claim makes sure that the store is this installation's before it is used.
// Known says that the installation has used the store before. A store that was
// never used and bears no mark is marked; a known one without a mark is
// ErrUnmarked, and one with another mark ErrForeign, always: an empty mount
// point must not be filled, and two installations would delete each other's
// objects. Claiming again is no error.
func (s *Store) Claim(ctx context.Context, installation string, known bool) error {
	err := s.checkMark(ctx, installation)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if known {
		return fmt.Errorf("store %q held blobs of this installation and now bears no mark: %w; "+
			"nothing was written; check that the disk is mounted, or the bucket and prefix are the right ones, and start again",
			s.name, ErrUnmarked)
	}
	err = s.b.SetMark(ctx, installation)
	if errors.Is(err, ErrExists) {
		return s.checkMark(ctx, installation)
	}
	if err != nil {
		return s.named("mark", err)
	}
	return nil
}

// checkMark is nil if the mark is the installation's; ErrNotFound if there is
// no mark.
func (s *Store) checkMark(ctx context.Context, installation string) error {
	mark, err := s.b.Mark(ctx)
	if err != nil {
		return s.named("read mark of", err)
	}
	if mark != installation {
		return fmt.Errorf("store %q is marked %q and this installation is %q: %w; "+
			"nothing was written; give this installation a folder, bucket or prefix of its own, or start it with the database that belongs to the store",
			s.name, mark, installation, ErrForeign)
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
	start := time.Now()
	err = f()
	s.observe(op, err, time.Since(start))
	if err != nil {
		return s.named(op, err)
	}
	return nil
}

func (s *Store) named(op string, err error) error {
	return fmt.Errorf("%s in store %q: %w", op, s.name, err)
}
