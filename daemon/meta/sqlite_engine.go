package meta

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// sqliteEngine is one writer and a set of readers of one file.
type sqliteEngine struct {
	dialect dialect
	clock   func() time.Time
	writes  *sql.DB
	writer  *writer
	readers *readers
}

func openSQLite(ctx context.Context, cfg Config, d dialect, log logCalls) (*DB, error) {
	return open(ctx, cfg, d, func(ctx context.Context, cfg Config) (engine, error) {
		writes, reads, err := sqliteOpen(cfg.Path)
		if err != nil {
			return nil, err
		}
		e := &sqliteEngine{dialect: d, clock: cfg.Clock, writes: writes, readers: newReaders(d, reads)}
		if err := e.start(ctx, cfg, log); err != nil {
			return nil, errors.Join(d.asError("open the database "+cfg.Path, err), e.close())
		}
		return e, nil
	})
}

func (e *sqliteEngine) start(ctx context.Context, cfg Config, log logCalls) error {
	err := patiently(ctx, e.dialect, func() error { return migrate(ctx, e.dialect, e.writes, cfg.keepSchema(), nil) })
	if err != nil {
		return err
	}
	s, err := newSession(ctx, e.dialect, e.writes)
	if err != nil {
		return err
	}
	e.writer = startWriter(s, log, cfg)
	return nil
}

func (e *sqliteEngine) update(ctx context.Context, w write, name string, fn func(*tx) error) error {
	return e.writer.update(ctx, w.durability, name, fn)
}

func (e *sqliteEngine) read(ctx context.Context, s span, fn func(query) error) error {
	now := ms(e.clock())
	if s == oneStatement {
		return e.readers.look(ctx, now, fn)
	}
	return e.readers.view(ctx, now, fn)
}

func (e *sqliteEngine) ready(ctx context.Context) error {
	if err := e.writer.broken.Load(); err != nil {
		return err
	}
	return e.read(ctx, oneStatement, func(q query) error {
		_, err := q.one(`SELECT 1`, nil, new(int))
		return err
	})
}

// changes is known: another process that writes beside the daemon makes tokens,
// which are not remembered by it.
func (e *sqliteEngine) changes() (uint64, bool) { return e.writer.changes.Load(), true }

// writeAs changes nothing: nobody else is there.
func (e *sqliteEngine) writeAs(NodeLease) {}

// close closes the writer's connection last: it moves the log into the database
// and removes it.
func (e *sqliteEngine) close() error {
	if e.writer != nil {
		e.writer.stop()
	}
	errs := []error{e.readers.close()}
	if e.writer != nil {
		errs = append(errs, e.writer.session.close())
	}
	return errors.Join(append(errs, e.writes.Close())...)
}
