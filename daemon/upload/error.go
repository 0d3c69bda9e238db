package upload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// storeNamed is a store of this node; else the error is a *holder.Elsewhere.
func (s *Service) storeNamed(name string) (*store.Store, error) {
	return holder.Find(s.cfg.Stores, name)
}

// maxPatience bounds how long a caller is told to wait for a store.
const maxPatience = time.Minute

// storeError says what a failure of the store means for the caller. The cause
// stays inside for the log; a key or a path never reaches the wire.
func storeError(ctx context.Context, op string, err error) error {
	if _, ok := errors.AsType[*protocol.Error](err); ok {
		return err
	}
	// A deadline of the store's own is a failure of the store like any other.
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	e := &protocol.Error{Kind: protocol.KindStoreUnavailable, Op: op, Err: err,
		Message: "the store failed; what this request sent was not recorded, what was acknowledged before is safe",
		Hint:    "Send it again."}
	if busy, ok := errors.AsType[*store.BusyError](err); ok {
		e.RetryAfter = min(busy.After, maxPatience)
	}
	full := errors.Is(err, store.ErrFull)
	switch {
	case errors.Is(err, store.ErrLost):
		e.Message = "the disk failed to sync; parts of this upload may be lost and are no longer listed"
		e.Hint = "Resume the upload: what is missing is sent again."
	case full:
		e.Message = "the store is full; what this request sent was not recorded, what was acknowledged before is safe"
	}
	if full {
		e.Kind = protocol.KindStoreFull
		e.Hint = "Free space on the daemon's store, then resume."
	}
	return e
}
