// Package store keeps immutable blobs under random keys. A Backend is one
// storage technology; a Store is a backend with a name, and the one place for
// what all of them need: the installation's mark, limits and metrics.
//
// The contract of a backend is written at the interface and is checked, line
// by line, by package storetest, which an operator can also run on a real
// bucket.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"time"
)

// What a backend reports. Wrapped errors say which key and what was being
// done; these say what it means. Any other error is a failure of the store
// that may pass.
var (
	// ErrNotFound: there is no object under the key.
	ErrNotFound = errors.New("no such object")
	// ErrExists: there already is an object under the key.
	ErrExists = errors.New("object exists")
	// ErrRange: the object is shorter than the range asked for.
	ErrRange = errors.New("range beyond the object")
	// ErrShort: the reader ended before, or went on after, the size given.
	ErrShort = errors.New("body and size differ")
	// ErrFull: no space left.
	ErrFull = errors.New("store is full")
	// ErrLost: a sync failed, and what was written since the last good one
	// may be gone. It is final for the Assembly that reports it.
	ErrLost = errors.New("written data may be lost")
	// ErrForeign: the store is marked with another installation's id.
	ErrForeign = errors.New("store belongs to another installation")
	// ErrUnmarked: a store that was used before has lost its mark, or its
	// folder is not there (an unmounted disk looks like this).
	ErrUnmarked = errors.New("store has lost its mark")
	// ErrKey: the key does not have the one form keys have, or is a foreign
	// one where only our own are taken.
	ErrKey = errors.New("not a key")
	// ErrDamaged: the storage's checksum says that what arrived is not what was
	// sent. Nothing is visible under the key.
	ErrDamaged = errors.New("bytes were damaged on their way")
	// ErrPieces: this storage cannot compose these pieces.
	ErrPieces = errors.New("pieces cannot be joined")
	// ErrNotBegun: there is no such composition (any more).
	ErrNotBegun = errors.New("no such composition")
)

// What is wrong with how a store is configured, as its storage says. Trying
// again changes nothing before somebody has changed something.
var (
	// ErrDenied: the credentials are wrong, or do not allow this.
	ErrDenied = errors.New("access denied")
	// ErrNoBucket: the bucket does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrRegion: the bucket is in another region than the configured one.
	ErrRegion = errors.New("bucket is in another region")
	// ErrClock: the clocks of this machine and of the storage differ by more
	// than signatures may.
	ErrClock = errors.New("clocks differ too much")
	// ErrUnsupported: the storage does not do what ospd needs.
	ErrUnsupported = errors.New("storage does not support this")
)

// BusyError says that the storage asks for patience.
type BusyError struct {
	// After is how long it asks to wait, 0 where it does not say.
	After time.Duration
	Err   error
}

func (e *BusyError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *BusyError) Unwrap() error { return e.Err }

// Backend is one storage technology. All methods are safe for concurrent use
// and return promptly, with an error that wraps ctx.Err(), once ctx ends; a
// Read of a body or a sync that is running then is waited for. A key that is
// not Valid is ErrKey, but that Get, Stat and Delete of a Browser take foreign
// ones, too.
type Backend interface {
	// Put stores exactly size bytes of r under key and returns when they are
	// durable. On any error nothing is visible under key: all or nothing, but
	// that an error which may pass may be an answer that got lost, and the whole
	// object be there or come to be.
	// While Put runs the object may be visible in part, and a crash may
	// leave it so: nobody looks for a key before its Put returned.
	// A key that exists is ErrExists and its bytes stay. A reader that ends
	// early, fails or goes on past size is an error (ErrShort for the
	// length); r is not used after return.
	Put(ctx context.Context, key Key, r io.Reader, size int64) error
	// Get reads n bytes from off. n < 0 means to the end. A range that does
	// not lie wholly in the object is ErrRange, also when n is 0 and off is
	// past the end. The reader gives exactly n bytes or an error, never a
	// clean EOF before. The caller closes it.
	Get(ctx context.Context, key Key, off, n int64) (io.ReadCloser, error)
	// Stat describes the object, or ErrNotFound.
	Stat(ctx context.Context, key Key) (Info, error)
	// Delete removes the object, durably when it returns. An absent one is no
	// error.
	Delete(ctx context.Context, key Key) error
	// List yields objects whose key begins with prefix, in byte order of the
	// key, strictly after the given key. It sees every object whose Put
	// returned before List was called and that is not deleted meanwhile.
	List(ctx context.Context, prefix string, after Key) iter.Seq2[Info, error]
	// Mark reads what the store is marked with, or ErrNotFound: the
	// installation's id, a space and the store's name; the id alone in a mark
	// from before marks had names.
	Mark(ctx context.Context) (string, error)
	// SetMark marks an unmarked store, making it (its root folder) first
	// where it does not exist; a marked one is ErrExists, but that an object
	// store adds a name where the mark has none (Names). Durable on return.
	SetMark(ctx context.Context, mark string) error
	// Close releases what the backend holds. No method is called after it.
	Close() error
}

// Info describes an object: its length in bytes, and when it was last written
// by the store's clock.
type Info struct {
	Key  Key
	Size int64
	Time time.Time
}

// Assembler is a backend whose objects can be written at any offset before
// anything refers to them: the parts of an upload are assembled in place, and
// committing moves no bytes.
type Assembler interface {
	// Assemble opens the object under key for writing, creating it, and its
	// directory, if absent. The object is not durable before Sync.
	Assemble(ctx context.Context, key Key) (Assembly, error)
	// Cut makes the object under key no longer than size bytes, durably when
	// it returns: what was written beyond and is of no use is freed. Nobody
	// may be writing to it. One that is shorter stays as it is; an absent one
	// is ErrNotFound.
	Cut(ctx context.Context, key Key, size int64) error
}

// Assembly is an object being written. Methods are safe for concurrent use as
// long as concurrent writes do not overlap.
type Assembly interface {
	io.WriterAt
	io.ReaderAt
	// Flush starts writing the range to the disk and does not wait for it.
	Flush(off, n int64)
	// Sync makes everything written before the call, and the object's name,
	// durable. After an error the Assembly is lost: Sync and WriteAt answer
	// ErrLost from then on, since a second sync may succeed without having
	// written what the first one dropped.
	Sync(ctx context.Context) error
	// Close releases the descriptor. It does not sync.
	Close() error
}

// FileOpener is a backend whose objects are files of this machine, so that
// their bytes can go to a socket without passing through the daemon.
type FileOpener interface {
	// OpenFile opens the object for reading. Each caller gets a descriptor,
	// and so an offset, of its own, and closes it.
	OpenFile(ctx context.Context, key Key) (*os.File, error)
}

// DirMaker is a backend that wants the directories of keys made ahead.
type DirMaker interface {
	// MakeDir makes the directory of keys and returns when its name is
	// durable. An existing one is no error.
	MakeDir(ctx context.Context, dir Dir) error
}

// StrayLister is a backend that can name what lies in it beside objects and
// its own mark, for fsck. List leaves these out.
type StrayLister interface {
	// Strays yields names that are not keys, as the backend spells them.
	Strays(ctx context.Context) iter.Seq2[string, error]
}

// Checker is a backend that can tell beforehand what will go wrong.
type Checker interface {
	// Check makes sure that the storage is there and lets us work: credentials,
	// bucket, region, clock, and that what is there is kept. It changes nothing.
	// Its error says what is wrong
	// (ErrDenied, ErrNoBucket, ErrRegion, ErrClock, ErrUnsupported, or that the
	// storage cannot be reached) and names the setting to look at.
	Check(ctx context.Context) error
}

// Noter is a backend of which an operator should know something that is no
// error.
type Noter interface {
	// Note says what Check and SetMark found out, in a sentence; "" where there
	// is nothing to say.
	Note() string
}

// BatchDeleter is a backend that deletes many objects with one request.
type BatchDeleter interface {
	// DeleteAll deletes the objects and yields each key of which it is not
	// certain that nothing is there any more, with the reason. It is done when
	// the loop over it is. Where the storage does not delete many at once the
	// reason is ErrUnsupported.
	DeleteAll(ctx context.Context, keys []Key) iter.Seq2[Key, error]
}

// SpaceReporter is a backend that knows how much room is left.
type SpaceReporter interface {
	// Free is the number of bytes the daemon may still write.
	Free(ctx context.Context) (int64, error)
}
