package meta

import (
	"database/sql"
	"embed"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

// failure is what an error of the database means for the daemon.
type failure int

const (
	// failed: this operation did not happen; others may.
	failed failure = iota
	// failedFull: the disk is full. It passes when space returns.
	failedFull
	// failedBusy: somebody else holds the database. It passes.
	failedBusy
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
	// setDurability says, between transactions, whether commits wait for the
	// disk.
	setDurability func(conn *sql.Conn, d durability) error
	// checkpoint moves the write-ahead log into the database, with cut until it
	// is empty, or says why it could not.
	checkpoint func(conn *sql.Conn, cut bool) error
	// check reads the whole database and reports the first damage found.
	check func(q query) error
}

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

func sqliteDialect() dialect {
	return dialect{
		rebind:        sqliteRebind,
		classify:      sqliteClassify,
		goose:         goose.DialectSQLite3,
		migrations:    func() (fs.FS, error) { return fs.Sub(sqliteMigrations, "migrations/sqlite") },
		setDurability: sqliteSetDurability,
		checkpoint:    sqliteCheckpoint,
		check:         sqliteCheck,
	}
}

// sqliteRebind drops row locks: the single writer is the lock.
func sqliteRebind(query string) string {
	return strings.TrimSuffix(strings.ReplaceAll(query, " FOR UPDATE SKIP LOCKED", ""), " FOR UPDATE")
}
