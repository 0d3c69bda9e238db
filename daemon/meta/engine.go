package meta

import "context"

// engine runs operations on one kind of database. Its errors are the driver's
// or the context's, or have a kind already; DB gives each a kind.
type engine interface {
	// update runs a write, and returns when it is as durable as d says. fn may
	// run more than once: what it reports through captured variables counts only
	// if update returns nil, and is what its last run said.
	update(ctx context.Context, d durability, name string, fn func(*tx) error) error
	// read runs a read.
	read(ctx context.Context, s span, fn func(query) error) error
	// ready is nil while the database takes reads and writes.
	ready(ctx context.Context) error
	// changes counts the writes there were, where no others write; else known is
	// false. It is raised before what was written is acknowledged.
	changes() (count uint64, known bool)
	// close lets what runs end.
	close() error
}

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
