package meta

import (
	"context"
	"database/sql"
	"errors"
)

// session is one connection with the statements prepared on it. One goroutine
// uses it at a time.
type session struct {
	conn    *sql.Conn
	dialect dialect
	stmts   map[string]*sql.Stmt
}

func newSession(ctx context.Context, d dialect, pool *sql.DB) (*session, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, dialect: d, stmts: map[string]*sql.Stmt{}}, nil
}

// prepare gives the statement of a text. Texts are few and constant, so that
// none is ever dropped.
func (s *session) prepare(text string) (*sql.Stmt, error) {
	if stmt, ok := s.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(context.Background(), s.dialect.rebind(text))
	if err != nil {
		return nil, err
	}
	s.stmts[text] = stmt
	return stmt, nil
}

// ExecContext runs a statement.
func (s *session) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	stmt, err := s.prepare(text)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext runs a statement that gives rows.
func (s *session) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := s.prepare(text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (s *session) exec(text string) error {
	_, err := s.ExecContext(context.Background(), text)
	return err
}

func (s *session) close() error {
	var errs []error
	for _, stmt := range s.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

// readers is a bounded set of sessions that only read.
type readers struct {
	pool    *sql.DB
	dialect dialect
	// idle holds every place of the set; nil where no session was opened yet.
	idle chan *session
	// ended is closed when nothing will come to idle any more.
	ended chan struct{}
}

func newReaders(d dialect, pool *sql.DB) *readers {
	r := &readers{pool: pool, dialect: d, idle: make(chan *session, readerCount()), ended: make(chan struct{})}
	for range cap(r.idle) {
		r.idle <- nil
	}
	return r
}

// view runs fn in a transaction of its own: all its statements see the
// database as it was at the first one.
func (r *readers) view(ctx context.Context, now int64, fn func(query) error) (err error) {
	s, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer func() { r.idle <- s }()
	if err := s.exec("BEGIN"); err != nil {
		err = errors.Join(err, s.close())
		s = nil
		return err
	}
	defer func() {
		if rerr := s.exec("ROLLBACK"); rerr != nil {
			err = errors.Join(err, rerr, s.close())
			s = nil
		}
	}()
	return fn(query{ctx: ctx, now: now, run: s})
}

// look runs fn outside of any transaction.
func (r *readers) look(ctx context.Context, now int64, fn func(query) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := r.take(ctx)
	if err != nil {
		return err
	}
	defer func() { r.idle <- s }()
	return fn(query{ctx: context.WithoutCancel(ctx), now: now, run: s})
}

// take waits for a place of the set. The caller gives it back to idle, with the
// session or, where that is of no use any more, nil.
func (r *readers) take(ctx context.Context) (s *session, err error) {
	select {
	case s = <-r.idle:
	case <-r.ended:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s == nil {
		if s, err = newSession(ctx, r.dialect, r.pool); err != nil {
			r.idle <- nil
			return nil, err
		}
	}
	return s, nil
}

// close waits for the reads that run and closes the sessions.
func (r *readers) close() error {
	var errs []error
	for range cap(r.idle) {
		if s := <-r.idle; s != nil {
			errs = append(errs, s.close())
		}
	}
	close(r.ended)
	return errors.Join(append(errs, r.pool.Close())...)
}
