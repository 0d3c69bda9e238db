package meta

import (
	"context"
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/protocol"
)

// ErrGenChanged: the upload's parts are no longer those the caller read. Read
// them again and begin anew.
var ErrGenChanged = errors.New("the upload's parts changed meanwhile")

// ErrStoreClosed: new blobs go to another store by now, in which one is to be
// named again. Nothing was changed.
var ErrStoreClosed = errors.New("the store is closed")

func storeClosed() error {
	return &protocol.Error{Kind: protocol.KindStoreUnavailable, Err: ErrStoreClosed,
		Message: "the store takes no new bytes any more, what this request sent was not recorded", Hint: "Send it again."}
}

// lostBytes is of a blob that is given up while somebody writes it.
func lostBytes() error {
	return &protocol.Error{Kind: protocol.KindStoreUnavailable,
		Message: "the bytes were lost before they were recorded, nothing was changed", Hint: "Send them again."}
}

// errClosed is what a write gets after Close, and a read.
var errClosed = protocol.Errorf(protocol.KindUnavailable, "the database is closed, nothing was changed")

// broken is damage that no retry mends.
func broken(message string, err error) *protocol.Error {
	return &protocol.Error{Kind: protocol.KindInternal, Message: message, Err: err,
		Hint: "Stop the daemon, check the disk, and restore the database from a backup if `ospd fsck` confirms the damage."}
}

// asError turns an error of the driver into one of the protocol's kinds. What
// has a kind already, a sentinel of this package, and the end of a context
// pass as they are.
func (d dialect) asError(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{ErrGenChanged, ErrLeaseLost, ErrNodeLost} {
		if errors.Is(err, own) {
			return err
		}
	}
	if _, held := errors.AsType[*NodeHeld](err); held {
		return err
	}
	if _, ok := errors.AsType[*protocol.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	e := &protocol.Error{Op: op, Err: err}
	switch d.classify(err) {
	case failedFull:
		e.Kind, e.Message = protocol.KindStoreFull, "the disk of the database is full, nothing was changed"
		e.Hint = "Free space on the disk of the database; the daemon goes on by itself."
	case failedBusy:
		e.Kind, e.Message = protocol.KindUnavailable, "others hold the database, or what this needs of it, for too long; nothing was changed"
	case failedRace:
		e.Kind, e.Message = protocol.KindUnavailable, "others change the same all the time, nothing was changed"
	case failedAway:
		e.Kind, e.Message = protocol.KindUnavailable, "the database cannot be reached, nothing was changed"
	case failedBroken:
		e = broken("the database cannot be read or written", err)
		e.Op = op
	default:
		e.Kind, e.Message = protocol.KindInternal, "the database refused the operation, nothing was changed"
	}
	return e
}

func notFound(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindNotFound, UID: uid, Message: "there is no file or upload " + uid.String()}
}

func committed(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindCommitted, UID: uid,
		Message: "upload " + uid.String() + " is committed already, its bytes cannot change"}
}
