package meta

import (
	"context"
	"database/sql"
	"sync"
)

// Texts collects the statements that databases ran.
type Texts struct {
	mu   sync.Mutex
	seen map[string]bool
}

// All gives every statement once.
func (x *Texts) All() (list []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for text := range x.seen {
		list = append(list, text)
	}
	return list
}

// OpenRecording is Open, with every statement noted in x.
func OpenRecording(ctx context.Context, cfg Config, x *Texts) (*DB, error) {
	return OpenEdited(ctx, cfg, func(text string) string {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.seen == nil {
			x.seen = map[string]bool{}
		}
		x.seen[text] = true
		return text
	})
}

// OpenEdited is Open with every statement changed by edit: a database that
// breaks its rules, for tests to notice.
func OpenEdited(ctx context.Context, cfg Config, edit func(text string) string) (*DB, error) {
	if cfg.URL != "" {
		d := pgDialect()
		d.rebind = func(text string) string { return pgRebind(edit(text)) }
		return openPostgres(ctx, cfg, d)
	}
	d, log := sqliteDialect(), sqliteLog()
	d.rebind = func(text string) string { return sqliteRebind(edit(text)) }
	// These databases need not outlive a power cut, and there are thousands.
	log.setDurability = func(*sql.Conn, durability) error { return nil }
	db, err := openSQLite(ctx, cfg, d, log)
	if err == nil {
		_, err = writerOf(db).conn.ExecContext(ctx, "PRAGMA synchronous=OFF")
	}
	return db, err
}

// OpenImpatient is Open of a Postgres database that has to be there at once.
func OpenImpatient(ctx context.Context, cfg Config) (*DB, error) {
	d := pgDialect()
	d.patience = 0
	return openPostgres(ctx, cfg, d)
}

// OpenWatched is Open; at is called before every statement of an operation,
// and after the last, with the context of the operation's caller.
func OpenWatched(ctx context.Context, cfg Config, at func(ctx context.Context)) (*DB, error) {
	db, err := OpenEdited(ctx, cfg, func(text string) string { return text })
	if err != nil {
		return nil, err
	}
	db.watch = func(ctx context.Context, q query, fn func(query) error) error {
		q.run = watched{q.run, func() { at(ctx) }}
		defer at(ctx)
		return fn(q)
	}
	return db, nil
}

// watched calls at before each statement.
type watched struct {
	run runner
	at  func()
}

func (w watched) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	w.at()
	return w.run.ExecContext(ctx, text, args...)
}

func (w watched) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	w.at()
	return w.run.QueryContext(ctx, text, args...)
}

// writerOf is the writer of a SQLite database.
func writerOf(db *DB) *writer { return db.engine.(*sqliteEngine).writer }

// Queued is how many writes wait for the writer.
func (db *DB) Queued() int {
	w := writerOf(db)
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// Forget has the database remember nothing of what it read: what it holds was
// changed behind its back.
func (db *DB) Forget() { db.reads = newReads() }
