package meta

import (
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

func sqliteDialect() dialect {
	return dialect{
		rebind:     sqliteRebind,
		classify:   sqliteClassify,
		goose:      goose.DialectSQLite3,
		migrations: func() (fs.FS, error) { return fs.Sub(sqliteMigrations, "migrations/sqlite") },
		check:      sqliteCheck,
		patience:   startPatience,
	}
}

// sqliteRebind drops row locks: the single writer is the lock.
func sqliteRebind(query string) string {
	return strings.TrimSuffix(strings.ReplaceAll(query, " FOR UPDATE SKIP LOCKED", ""), " FOR UPDATE")
}

// The settings are given with the address and not by statements, since pooled
// connections are replaced and would lose them.
const (
	sqliteCommon = "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)" +
		"&_pragma=cell_size_check(1)&_pragma=mmap_size(0)&_dqs=0&_defensive=1"
	sqliteWriter = sqliteCommon + "&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=journal_size_limit(67108864)" +
		// What undoes a savepoint is kept in memory: each operation's is small
		// and ends with it, while a file of it would grow until the group ends.
		"&_pragma=temp_store(2)" +
		// SQLite ignores the error of a checkpoint that it begins by itself, and
		// with it a failed sync of the log: the writer begins them (writer.go).
		"&_pragma=wal_autocheckpoint(0)"
	sqliteReader = sqliteCommon + "&mode=ro&_pragma=query_only(1)"
)

// sqliteOpen opens the pools of one database file, making the file first
// where there is none. The writer's pool has exactly one connection.
func sqliteOpen(path string) (write, read *sql.DB, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, nil, fmt.Errorf("create database %s: %w", path, err)
	}
	if write, err = sql.Open("sqlite", sqliteAddress(path, sqliteWriter)); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if read, err = sql.Open("sqlite", sqliteAddress(path, sqliteReader)); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readerCount())
	return write, read, nil
}

// readerCount is how many reads run at once.
func readerCount() int { return 2 * runtime.NumCPU() }

func sqliteAddress(path, settings string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: settings}
	return u.String()
}

// createPrivate makes an empty file that only its user can read; SQLite gives
// its other files the same mode. A file that exists is never opened here:
// closing any descriptor of it would drop SQLite's locks.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return makePrivate(path)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// makePrivate takes a database that others can read away from them. One that
// is private is not touched: it may belong to another user whose daemon is at
// work on it.
func makePrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() == 0o600 {
		return err
	}
	return os.Chmod(path, 0o600)
}

// sqliteClassify reads the primary result code. FULL and BUSY pass by
// waiting; the codes of a damaged file or disk do not.
func sqliteClassify(err error) failure {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return failed
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return failedFull
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return failedBusy
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY:
		return failedBroken
	}
	return failed
}

// sqliteCheck reports the first line of integrity_check and of
// foreign_key_check that is a complaint.
func sqliteCheck(q query) error {
	err := q.each(`PRAGMA integrity_check(1)`, nil, func(scan scanFunc) error {
		var line string
		if err := scan(&line); err != nil || line == "ok" {
			return err
		}
		return broken("the database is damaged: "+line, nil)
	})
	if err != nil {
		return err
	}
	return q.each(`PRAGMA foreign_key_check`, nil, func(scan scanFunc) error {
		var table, parent string
		var row sql.NullInt64
		var key int64
		if err := scan(&table, &row, &parent, &key); err != nil {
			return err
		}
		return broken("the database is damaged: a row of "+table+" refers to a missing row of "+parent, nil)
	})
}
