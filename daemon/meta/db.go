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
	"errors"
	"log/slog"
	"time"
)

// Config says which database to open.
type Config struct {
	// Path of the SQLite file; it is made, readable for its user only, where
	// it does not exist. Its folder must exist.
	Path string
	// URL of a Postgres database, postgres://…, in place of Path. The database
	// must exist; what is in it is made.
	URL string
	// Clock is time.Now unless a test gives another.
	Clock func() time.Time
	// Logger is slog.Default() unless given.
	Logger *slog.Logger
	// KeepSchema refuses a database whose schema is not the newest, instead of
	// bringing it up to date: an older ospd may be running on it. One that is
	// empty is made all the same. It is for who opens the database beside others,
	// and so nothing is written once they have moved the metadata away.
	KeepSchema bool
	// Moved opens also a database whose metadata was moved to another one.
	Moved bool
	// Node is who is going to take the place (TakeNode). While another has that
	// on Postgres, KeepSchema holds.
	Node NewNode
	// DefaultQuota limits the owners to whom SetQuota gave no limits.
	DefaultQuota Quota
}

// DB is an open database. All methods are safe for concurrent use. Every
// error is a *protocol.Error, one of this package's own, or wraps the context's. An error of
// a write means that nothing was changed, but for KindInternal: where the
// database itself failed, what was changed is known once it is opened again.
type DB struct {
	cfg     Config
	dialect dialect
	engine  engine
	reads   *reads
	emitted word
	doubted word
	hints   hints
	kept    tenure
	// watch is nil but in tests, which run each operation's fn by it, to stop
	// it between its statements. ctx is the caller's.
	watch func(ctx context.Context, q query, fn func(query) error) error
}

// Open opens the database, makes it or brings its schema up to date. A database
// that a newer ospd has changed is refused, and so is a file that is no
// database, one that the metadata was moved away from, and one to which it was
// not copied to the end. Close ends what Open started.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.URL != "" {
		return openPostgres(ctx, cfg, pgDialect())
	}
	return openSQLite(ctx, cfg, sqliteDialect(), sqliteLog())
}

// open makes a DB of what start gives.
func open(ctx context.Context, cfg Config, d dialect, start func(ctx context.Context, cfg Config) (engine, error)) (*DB, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	e, err := start(ctx, cfg)
	if err != nil {
		return nil, d.asError("open the database", err)
	}
	db := &DB{cfg: cfg, dialect: d, engine: e, reads: newReads(), emitted: make(word, 1), doubted: make(word, 1), kept: newTenure()}
	if err := db.refuseRetired(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.makeServerID(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close lets the operations that wait finish, and closes the database. No
// method may be called after it.
func (db *DB) Close() error { return db.engine.close() }

// Ping reports whether the database answers and takes writes.
func (db *DB) Ping(ctx context.Context) error {
	return db.dialect.asError("ping the database", db.engine.ready(ctx))
}

// update runs a write; see engine.update. Where it made events it gives word
// of them, and of jobs that became due. A context that is Fenced holds it to
// that job's lease.
func (db *DB) update(ctx context.Context, d durability, name string, fn func(*tx) error) error {
	return db.write(ctx, write{d, namesNothing}, name, fn)
}

// named is update of what names a blob, beside which no store is closed.
func (db *DB) named(ctx context.Context, name string, fn func(*tx) error) error {
	return db.write(ctx, write{full, namesBlobs}, name, fn)
}

// unnamed is update of what closes a store, beside which nobody names a blob.
func (db *DB) unnamed(ctx context.Context, name string, fn func(*tx) error) error {
	return db.write(ctx, write{full, stopsNaming}, name, fn)
}

func (db *DB) write(ctx context.Context, w write, name string, fn func(*tx) error) error {
	fn = fenced(ctx, fn)
	if db.cfg.KeepSchema {
		fn = unmoved(fn)
	}
	emitted, due := false, false
	run := func(t *tx) error {
		err := fn(t)
		emitted, due = t.emitted, t.due
		return err
	}
	if db.watch != nil {
		unwatched := run
		run = func(t *tx) error {
			return db.watch(ctx, t.query, func(q query) error { return unwatched(&tx{query: q}) })
		}
	}
	err := db.engine.update(ctx, w, name, run)
	if errors.Is(err, ErrNodeLost) {
		db.doubted.raise()
	}
	if err == nil && emitted {
		db.emitted.raise()
	}
	if err == nil && due {
		db.hints.raise()
	}
	return db.dialect.asError(name, err)
}

// look runs a read of one statement.
func (db *DB) look(ctx context.Context, name string, fn func(query) error) error {
	return db.read(ctx, oneStatement, name, fn)
}

// view runs a read: all statements of fn see one state of the database.
func (db *DB) view(ctx context.Context, name string, fn func(query) error) error {
	return db.read(ctx, oneState, name, fn)
}

func (db *DB) read(ctx context.Context, s span, name string, fn func(query) error) error {
	if db.watch != nil {
		unwatched := fn
		fn = func(q query) error { return db.watch(ctx, q, unwatched) }
	}
	return db.dialect.asError(name, db.engine.read(ctx, s, fn))
}
