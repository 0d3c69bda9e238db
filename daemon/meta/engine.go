package meta

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/osproxy/osproxy/protocol"
)

// engine runs operations on one kind of database. Its errors are the driver's
// or the context's, or have a kind already; DB gives each a kind.
type engine interface {
	// update runs a write, and returns when it is as durable as w says. fn may
	// run more than once: what it reports through captured variables counts only
	// if update returns nil, and is what its last run said.
	update(ctx context.Context, w write, name string, fn func(*tx) error) error
	// read runs a read.
	read(ctx context.Context, s span, fn func(query) error) error
	// ready is nil while the database takes reads and writes.
	ready(ctx context.Context) error
	// changes counts the writes there were, where no others write; else known is
	// false. It is raised before what was written is acknowledged.
	changes() (count uint64, known bool)
	// writeAs has all writes from now on be the lease holder's, where others can
	// take the place from it.
	writeAs(l NodeLease)
	// close lets what runs end.
	close() error
}

// durability is what an operation survives once it is answered.
type durability int

const (
	// full: the operation is on the disk.
	full durability = iota
	// kept: the operation survives the death of any process, the database's
	// own too. A power cut may undo it, together with everything after it, never
	// without.
	kept
	// relaxed: the operation survives the death of the daemon. A power cut may
	// undo it, and so may a crash of the database where that is another process,
	// together with everything after it, never without: nothing that the daemon
	// remembers may rest on it.
	relaxed
)

// write is how an operation writes.
type write struct {
	durability
	naming naming
}

// naming is what a write has to do with the names of blobs. Whoever names one
// looks first whether its store takes any, and a transaction that saw a store open
// must have ended before the store is closed: on Postgres they run side by side,
// in any number of processes, and each sees what was so when it looked. (SQLite
// has one writer.)
type naming int

const (
	// namesNothing: it runs beside all others.
	namesNothing naming = iota
	// namesBlobs: it names blobs, beside others that do.
	namesBlobs
	// stopsNaming: it closes stores, or changes otherwise where blobs may be named,
	// and nobody names one until it has ended.
	stopsNaming
)

// span is how much of the database a read looks at.
type span int

const (
	// oneStatement is one statement, which sees one state of the database by
	// itself. It is over too soon to be given up: a context that can end costs
	// the driver a goroutine for each statement.
	oneStatement span = iota
	// oneState is statements that all see one state of the database.
	oneState
	// wholeTables is oneState for as long as it takes.
	wholeTables
)

// shielded runs fn, and makes an error of a panic, which must not end whoever
// runs the operations.
func shielded(logger *slog.Logger, name string, fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			logger.Error("panic in a database operation", "operation", name, "panic", p, "stack", string(debug.Stack()))
			err = &protocol.Error{Kind: protocol.KindInternal, Op: name, Message: "the operation failed, nothing was changed", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	return fn()
}
