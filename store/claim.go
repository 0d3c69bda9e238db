package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Claim makes sure that the store is this installation's, and is the one of this
// name, before it is used. Known says that the installation has used the store
// before. A store that was never used and bears no mark is marked; a known one
// without a mark is ErrUnmarked, and one with another mark ErrForeign, always: an
// empty mount point must not be filled, two installations would delete each
// other's objects, and one place under two names would be emptied of what was
// moved into it. A mark without a name is from before marks had one, and gets it
// where the backend can give it. Claiming again is no error.
func (s *Store) Claim(ctx context.Context, installation string, known bool) error {
	mark, err := s.mark(ctx)
	switch {
	case err == nil && mark != installation:
		return s.judge(mark, installation)
	case err == nil: // and without a name
	case !errors.Is(err, ErrNotFound):
		return err
	case known:
		return s.unmarked()
	}
	// Done twice, when an answer was lost, it finds the mark it has made.
	err = s.patience.try(ctx, "mark", func() error { return s.b.SetMark(ctx, installation+" "+s.name) })
	if errors.Is(err, ErrExists) {
		if mark, err = s.mark(ctx); err == nil {
			err = s.judge(mark, installation)
		}
		return err
	}
	if err != nil {
		return s.named("mark", err)
	}
	return nil
}

// Judge reports whether the store bears a mark, and is the error of Claim where
// that is another's. It writes nothing.
func (s *Store) Judge(ctx context.Context, installation string) (marked bool, err error) {
	mark, err := s.mark(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, s.judge(mark, installation)
}

// MarkedAs gives the store's name in its mark, "" in a mark of before marks had
// names, and whether it bears one of this installation. It writes nothing.
func (s *Store) MarkedAs(ctx context.Context, installation string) (name string, marked bool, err error) {
	mark, err := s.mark(ctx)
	if errors.Is(err, ErrNotFound) {
		return "", false, nil
	}
	if err != nil || mark == installation {
		return "", err == nil, err
	}
	name, marked = strings.CutPrefix(mark, installation+" ")
	if !marked {
		name = ""
	}
	return name, marked, nil
}

// Reach makes sure that the store is this installation's, as Claim does, that it
// answers, and that we may work in it. Its mark is read and judged first: nothing
// is written to one that bears another, or has lost its own. After that Check may
// write, and a store that may be marked is.
func (s *Store) Reach(ctx context.Context, installation string, known bool) error {
	mark, err := s.mark(ctx)
	switch {
	case err == nil:
		err = s.judge(mark, installation)
	case errors.Is(err, ErrNotFound) && known:
		err = s.unmarked()
	case errors.Is(err, ErrNotFound):
		err = nil
	}
	if err != nil {
		return err
	}
	if err := s.Check(ctx); err != nil {
		return err
	}
	return s.Claim(ctx, installation, known)
}

// unmarked is the error of a known store without a mark.
func (s *Store) unmarked() error {
	return fmt.Errorf("store %q held blobs of this installation and now bears no mark: %w; "+
		"nothing was written; check that the disk is mounted, or the bucket and prefix are the right ones, and start again",
		s.name, ErrUnmarked)
}

// Names reports whether a mark has the installation of one that is there, and
// the name of a store which that one lacks.
func Names(mark, there string) bool {
	return there != "" && !strings.Contains(there, " ") && strings.HasPrefix(mark, there+" ")
}

// mark reads the mark, or is ErrNotFound.
func (s *Store) mark(ctx context.Context) (mark string, err error) {
	err = s.patience.try(ctx, "mark", func() (err error) {
		mark, err = s.b.Mark(ctx)
		return err
	})
	if err != nil {
		return "", s.named("read the mark", err)
	}
	return mark, nil
}

// judge is nil if the mark is that of this store of the installation.
func (s *Store) judge(mark, installation string) error {
	other, named := strings.CutPrefix(mark, installation+" ")
	switch {
	case mark == installation, named && other == s.name:
		return nil
	case named:
		return NotOurs("store %q is marked as store %q of this installation; nothing was written; if both are configured they are one place under two names: "+
			"take one of them out; if it was renamed, give it its name back, or delete its mark where nothing lies in it",
			s.name, other)
	}
	return fmt.Errorf("store %q is marked %q and this installation is %q: %w; "+
		"nothing was written; give this installation a folder, bucket or prefix of its own, or start it with the database that belongs to the store",
		s.name, mark, installation, ErrForeign)
}

// notOurs is ErrForeign of a place that is this installation's, and not the store's.
type notOurs string

// NotOurs is ErrForeign in words of its own: of a place that is this installation's,
// though not that of the store which is configured with it.
func NotOurs(format string, args ...any) error { return notOurs(fmt.Sprintf(format, args...)) }

func (e notOurs) Error() string { return string(e) }

func (notOurs) Is(target error) bool { return target == ErrForeign }
