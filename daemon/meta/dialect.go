package meta

import (
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

// failure is what an error of the database means for the daemon.
type failure int

const (
	// failed: this operation did not happen; others may.
	failed failure = iota
	// failedFull: the disk is full. It passes when space returns.
	failedFull
	// failedBusy: somebody else holds the database, or what the operation needs
	// of it. It passes.
	failedBusy
	// failedRace: others changed the same at the same time. Nothing was changed,
	// and the operation may be run again at once.
	failedRace
	// failedTwice: the operation makes a row that exists. Others may have made it
	// since it looked.
	failedTwice
	// failedAway: the database cannot be reached. Nothing was changed.
	failedAway
	// failedBroken: the database or its disk is damaged. No write may follow.
	failedBroken
)

// dialect is all in which two databases differ. Queries are written once,
// with ? for parameters, FOR UPDATE at the end where a row must stay as it was
// read until the transaction ends, and FOR UPDATE SKIP LOCKED, there or at the
// end of a sub-select, where rows that others hold are passed over.
type dialect struct {
	// rebind turns a query into the database's own spelling.
	rebind func(query string) string
	// classify says what an error of the driver means.
	classify func(err error) failure
	// goose and migrations make the schema.
	goose      goose.Dialect
	migrations func() (fs.FS, error)
	// patience is how long whoever opens the database waits for others, and for
	// a server.
	patience time.Duration
	// fenceOff has all writes of a holder of the place fail once the transaction
	// is committed; nil where no other process can be there.
	fenceOff func(t *tx, holder string) error
	// check reads the whole database and reports the first damage found.
	check func(q query) error
}
