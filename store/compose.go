package store

import (
	"context"
	"iter"
	"time"
)

// ComposeID names a composition that was begun, as the storage calls it (an
// upload id).
type ComposeID string

// Piece is Length bytes of an object from Offset.
type Piece struct {
	Key    Key
	Offset int64
	Length int64
}

// Unfinished is a composition that was begun and neither finished nor
// abandoned. The storage keeps, and charges for, what was copied so far.
type Unfinished struct {
	Key   Key
	ID    ComposeID
	Begun time.Time
}

// Composer is a backend that joins objects on the storage's own side: the bytes
// do not pass through the daemon, but for pieces shorter than the least the
// storage copies, which are gathered and sent once.
//
// A composition is begun, its id is written down by the caller, and only then is
// something copied, so that whatever dies leaves nothing that nobody knows of.
type Composer interface {
	// BeginCompose begins one that becomes the object under key. Nothing is
	// visible under key before Compose returned.
	BeginCompose(ctx context.Context, key Key) (ComposeID, error)
	// Compose makes the object under key of the pieces, in their order, and
	// returns when it is durable. Repeating it after any error, with the same
	// pieces, goes on where it was, also in another process; once it has
	// succeeded, repeating it is no error.
	//
	// verified says that the storage's own checksums showed that the object has
	// the bytes of the pieces. Without it the caller has to read the object
	// before it gives up the pieces.
	//
	// A source that is absent is ErrNotFound, one that is shorter than its
	// piece ErrRange, and nothing is visible under key. Pieces that this storage
	// cannot join, being too many or too large together, are ErrPieces; nothing
	// was copied then. A composition that is not known (any more), and whose
	// object is not there, is ErrNotBegun: begin anew, under another key.
	Compose(ctx context.Context, key Key, id ComposeID, pieces []Piece) (verified bool, err error)
	// AbandonCompose ends a composition that was not finished and frees what was
	// copied. One that is not known (any more) is no error. The object of a
	// finished one stays.
	AbandonCompose(ctx context.Context, key Key, id ComposeID) error
	// Unfinished yields the compositions under the store's own prefix that are
	// not finished, and other uploads there that nobody finished.
	Unfinished(ctx context.Context) iter.Seq2[Unfinished, error]
}
