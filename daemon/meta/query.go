package meta

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// scanFunc copies the columns of a row.
type scanFunc func(dest ...any) error

// runner runs the statements of one transaction.
type runner interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// query runs statements in one transaction, read or write.
type query struct {
	ctx context.Context
	// now is the daemon's clock when the transaction began, in milliseconds:
	// one transaction sees one time.
	now int64
	run runner
	// leaseTime is the statement that gives the time of leases; "" where that is
	// now.
	leaseTime string
}

// tx is a write transaction, or rather one operation's savepoint in it.
type tx struct {
	query
	// emitted says that it made an event.
	emitted bool
	// due says that queues may have something to do now.
	due bool
}

// exec runs a statement and gives the number of rows it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	r, err := t.run.ExecContext(t.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// one reads a single row and reports whether there is one.
func (q query) one(text string, args []any, dest ...any) (found bool, err error) {
	rows, err := q.run.QueryContext(q.ctx, text, args...)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return false, rows.Err()
	}
	err = rows.Scan(dest...)
	return err == nil, err
}

// each calls fn for every row. fn must not run statements of q: some drivers
// have room for one at a time.
func (q query) each(text string, args []any, fn func(scanFunc) error) (err error) {
	rows, err := q.run.QueryContext(q.ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// databaseNow is the time by which leases run, in milliseconds: the one clock
// that all who share the database have. Where that is one process, it is now.
func (q query) databaseNow() (now int64, err error) {
	if q.leaseTime == "" {
		return q.now, nil
	}
	_, err = q.one(q.leaseTime, nil, &now)
	return now, err
}

// ids reads a column of ids.
func ids[T ~int64 | ~uint64](q query, text string, args ...any) (list []T, err error) {
	err = q.each(text, args, func(scan scanFunc) error {
		var id T
		list = append(list, id)
		return scan(&list[len(list)-1])
	})
	return list, err
}

// flag is how a yes or no is stored.
func flag(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// ms is how times are stored.
func ms(t time.Time) int64 { return t.UnixMilli() }

// msOf stores a time that may be absent.
func msOf(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	v := t.UnixMilli()
	return &v
}

// timeOf reads a stored time.
func timeOf(v int64) time.Time { return time.UnixMilli(v).UTC() }

// timePtr reads a stored time that may be absent.
func timePtr(v *int64) *time.Time {
	if v == nil {
		return nil
	}
	t := timeOf(*v)
	return &t
}
