package store

import (
	"context"
	"errors"
	"fmt"
)

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
	// Done twice, when an answer was lost, it finds the mark it has made.
	err = s.patience.try(ctx, "mark", func() error { return s.b.SetMark(ctx, installation) })
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
	var mark string
	err := s.patience.try(ctx, "mark", func() (err error) {
		mark, err = s.b.Mark(ctx)
		return err
	})
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
