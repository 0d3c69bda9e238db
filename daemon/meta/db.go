// Package meta is the database of ospd: what exists, whose it is, and where
// its bytes lie. Callers see verbs of the domain (begin an upload, record a
// part, commit), each one transaction, never tables.
//
// The rules that keep the promises of the system live here: an acknowledged
// write is durable (writer.go), bytes just received win over equal bytes
// stored before (commit.go), and a blob is doomed only where nothing refers
// to it (blob.go).
package meta

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"
)

// Config says which database to open.
type Config struct {
	// Path of the SQLite file; it is made, readable for its user only, where
	// it does not exist. Its folder must exist.
	Path string
	// Clock is time.Now unless a test gives another.
	Clock func() time.Time
	// Logger is slog.Default() unless given.
	Logger *slog.Logger
	// KeepSchema refuses a database whose schema is not the newest, instead of
	// bringing it up to date: an older ospd may be running on it. One that is
	// empty is made all the same.
	KeepSchema bool
	// DefaultQuota limits the owners to whom SetQuota gave no limits.
	DefaultQuota Quota
}

// DB is an open database. All methods are safe for concurrent use. Every
// error is a *protocol.Error, ErrGenChanged, or wraps the context's. An error of
// a write means that nothing was changed, but for KindInternal: where the
// database itself failed, what was changed is known once it is opened again.
type DB struct {
	cfg     Config
	dialect dialect
	writes  *sql.DB
	writer  *writer
	readers *readers
	reads   *reads
	hints   hints
	// watch is nil but in tests, which run each operation's fn by it, to stop
	// it between its statements. ctx is the caller's.
	watch func(ctx context.Context, q query, fn func(query) error) error
}

// Open opens the database, makes it or brings its schema up to date, and
// starts its writer. A database that a newer ospd has changed is refused, and
// so is a file that is no database. Close ends what Open started.
func Open(ctx context.Context, cfg Config) (*DB, error) { return open(ctx, cfg, sqliteDialect()) }

func open(ctx context.Context, cfg Config, d dialect) (*DB, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	db := &DB{cfg: cfg, dialect: d, reads: newReads()}
	writes, reads, err := sqliteOpen(cfg.Path)
	if err != nil {
		return nil, db.dialect.asError("open the database", err)
	}
	db.writes, db.readers = writes, newReaders(db.dialect, reads)
	if err := db.start(ctx); err != nil {
		return nil, errors.Join(db.dialect.asError("open the database "+cfg.Path, err), db.Close())
	}
	return db, nil
}

const (
	// startPatience is how long others that make or open the database are
	// waited for: SQLite itself does not wait for all they do, the switch to its
	// write-ahead log among it.
	startPatience = 10 * time.Second
	startPause    = 20 * time.Millisecond
)

func (db *DB) start(ctx context.Context) error {
	if err := db.migrate(ctx); err != nil {
		return err
	}
	s, err := newSession(ctx, db.dialect, db.writes)
	if err != nil {
		return err
	}
	db.writer = startWriter(s, db.cfg)
	return db.makeServerID(ctx)
}

// migrate tries for startPatience while somebody else holds the database.
func (db *DB) migrate(ctx context.Context) error {
	pause := time.NewTicker(startPause)
	defer pause.Stop()
	for until := time.Now().Add(startPatience); ; {
		err := migrate(ctx, db.dialect, db.writes, db.cfg.KeepSchema)
		if err == nil || db.dialect.classify(err) != failedBusy || time.Now().After(until) {
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Close lets the operations that wait finish, and closes the database. No
// method may be called after it. The writer's connection is the last to go:
// it moves the log into the database and removes it.
func (db *DB) Close() error {
	if db.writer != nil {
		db.writer.stop()
	}
	errs := []error{db.readers.close()}
	if db.writer != nil {
		errs = append(errs, db.writer.session.close())
	}
	return errors.Join(append(errs, db.writes.Close())...)
}

// Ping reports whether the database answers and takes writes.
func (db *DB) Ping(ctx context.Context) error {
	if e := db.writer.broken.Load(); e != nil {
		return e
	}
	return db.view(ctx, "ping the database", func(q query) error {
		_, err := q.one(`SELECT 1`, nil, new(int))
		return err
	})
}

// update runs a write; see writer.update. A context that is Fenced holds it to
// that job's lease.
func (db *DB) update(ctx context.Context, d durability, name string, fn func(*tx) error) error {
	fn = fenced(ctx, fn)
	if db.watch != nil {
		unwatched := fn
		fn = func(t *tx) error {
			return db.watch(ctx, t.query, func(q query) error { return unwatched(&tx{q}) })
		}
	}
	var due bool
	err := db.writer.update(ctx, d, name, func(t *tx) error {
		due, t.hint = false, &due
		return fn(t)
	})
	if err == nil && due {
		db.hints.raise()
	}
	return err
}

// look runs a read of one statement, which sees one state of the database by
// itself. It is over too soon to be given up: a context that can end costs the
// driver a goroutine for each statement.
func (db *DB) look(ctx context.Context, name string, fn func(query) error) error {
	return db.dialect.asError(name, db.readers.look(ctx, ms(db.cfg.Clock()), db.watched(ctx, fn)))
}

// view runs a read: all statements of fn see one state of the database.
func (db *DB) view(ctx context.Context, name string, fn func(query) error) error {
	return db.dialect.asError(name, db.readers.view(ctx, ms(db.cfg.Clock()), db.watched(ctx, fn)))
}

// watched is fn, run by watch where there is one.
func (db *DB) watched(ctx context.Context, fn func(query) error) func(query) error {
	if db.watch == nil {
		return fn
	}
	return func(q query) error { return db.watch(ctx, q, fn) }
}
