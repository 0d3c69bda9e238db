package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// pgNow is the server's time in milliseconds.
	pgNow = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`
	// resolvePatience is how long what became of a commit is asked for: longer
	// than the server keeps a transaction whose client is gone.
	resolvePatience = 30 * time.Second
	// laneKept is how long a lane stays that nobody uses. A process that finds
	// its lane gone makes another.
	laneKept = 24 * time.Hour
	// namingLock is the advisory lock of those who name blobs and those who stop
	// them. It goes with the transaction, so that it holds behind a pooler too, and
	// it is of this database alone.
	namingLock = 0x6f737064_6e616d65
)

// lane is a row by which a process knows whether a write took place. One
// operation uses it at a time.
type lane struct {
	// id is the row, 0 before it is made.
	id int64
	// last numbers the writes.
	last int64
	// node is whose it is.
	node *NodeLease
}

// errNoLane: the row was removed, since nobody used it for long or another has
// the place.
var errNoLane = errors.New("the lane is gone")

// write runs fn in a transaction.
func (e *pgEngine) write(ctx context.Context, l *lane, w write, name string, fn func(*tx) error) error {
	lost, err := e.transact(ctx, l, w, name, fn)
	if errors.Is(err, errNoLane) { // with another; the lanes of the next try may be gone too
		lost, err = e.transact(ctx, l, w, name, fn)
	}
	if lost {
		return e.resolve(l, err)
	}
	return err
}

// transact is write but for what became of a commit whose answer was lost.
func (e *pgEngine) transact(ctx context.Context, l *lane, w write, name string, fn func(*tx) error) (lost bool, err error) {
	conn, err := e.pool.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // which only gives it back
	if err := e.makeLane(ctx, conn, l); err != nil {
		return false, err
	}
	err = e.begin(ctx, conn, l, w)
	if err == nil {
		err = shielded(e.logger, name, func() error { return fn(&tx{query: e.query(ctx, conn)}) })
	}
	if err != nil {
		_, rerr := conn.ExecContext(ctx, "ROLLBACK")
		return false, errors.Join(err, rerr)
	}
	return commit(ctx, conn)
}

// makeLane makes the lane's row where there is none, or is one of before this
// process had a place.
func (e *pgEngine) makeLane(ctx context.Context, conn *sql.Conn, l *lane) (err error) {
	node := e.node.Load()
	if l.id != 0 && l.node == node {
		return nil
	}
	l.id, l.last, l.node = 0, 0, node
	if node != nil {
		l.id, err = makeNodeLane(ctx, conn, *node)
		return err
	}
	return conn.QueryRowContext(ctx, `INSERT INTO lanes (used_at) VALUES (`+pgNow+`) RETURNING id`).Scan(&l.id)
}

// begin opens a transaction whose commit waits for the disk if the operation
// must outlive the server's process, waits for its turn among those who name
// blobs, and notes the write in its lane.
func (e *pgEngine) begin(ctx context.Context, conn *sql.Conn, l *lane, w write) error {
	text := "BEGIN ISOLATION LEVEL READ COMMITTED" + e.each
	if w.durability == relaxed {
		text += "; SET LOCAL synchronous_commit = off"
	}
	switch w.naming {
	case namesBlobs:
		text += fmt.Sprintf("; SELECT pg_advisory_xact_lock_shared(%d)", namingLock)
	case stopsNaming:
		text += fmt.Sprintf("; SELECT pg_advisory_xact_lock(%d)", namingLock)
	}
	l.last++
	text += fmt.Sprintf("; UPDATE lanes SET last = %d, used_at = %s WHERE id = %d", l.last, pgNow, l.id)
	r, err := conn.ExecContext(ctx, text)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		l.id = 0
		return errors.Join(errNoLane, err)
	}
	return nil
}

// commit ends the transaction. lost says that nobody knows how: only an error
// of the server is an answer. pgconn.SafeToRetry is none, since pgx gives an
// error that is safe where it could not read the answer to what it had sent.
func commit(ctx context.Context, conn *sql.Conn) (lost bool, err error) {
	var tag string
	err = conn.Raw(func(c any) error {
		t, err := c.(*stdlib.Conn).Conn().Exec(ctx, "COMMIT")
		tag = t.String()
		return err
	})
	if err == nil && tag == "COMMIT" {
		return false, nil
	}
	if err == nil {
		return false, protocol.Errorf(protocol.KindInternal, "the operation went on after a statement had failed, nothing was changed")
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && severity(e) == "ERROR" {
		return false, err
	}
	return true, err
}

// resolve finds out whether the lane's last write took place: nil where it
// did, errLost where it did not. It locks the row, so that a transaction that
// is still under way has ended, one way or the other, when it is read.
//
// The transaction's id would not do: after a crash of the server, ids that did
// not reach its log are given again, to others.
func (e *pgEngine) resolve(l *lane, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.resolvePatience)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var last int64
		err := e.pool.QueryRowContext(ctx, fmt.Sprintf(`SELECT last FROM lanes WHERE id = %d FOR UPDATE`, l.id)).Scan(&last)
		switch {
		case err == nil && last == l.last:
			e.logger.Info("a commit whose answer was lost took place", "cause", cause)
			return nil
		case err == nil:
			return fmt.Errorf("%w: %s", errLost, cause.Error())
		}
		select {
		case <-time.After(pause):
			if !errors.Is(err, sql.ErrNoRows) {
				continue
			}
		case <-ctx.Done():
		}
		l.id = 0
		return &protocol.Error{Kind: protocol.KindInternal, Err: errors.Join(cause, err),
			Message: "the connection to the database was lost while it recorded the change, and it could not be asked since; what was changed shows once it answers",
			Hint:    "Look whether it was recorded before you send it again."}
	}
}

// removeLanes forgets lanes; what remains goes after laneKept.
func (e *pgEngine) removeLanes(ids []int64) {
	ctx, cancel := context.WithTimeout(context.Background(), pgConnectTimeout)
	defer cancel()
	for _, id := range ids {
		if _, err := e.pool.ExecContext(ctx, fmt.Sprintf(`DELETE FROM lanes WHERE id = %d`, id)); err != nil {
			e.logger.Debug("remove a lane", "error", err)
			return
		}
	}
}

func (e *pgEngine) removeOldLanes(ctx context.Context) {
	text := fmt.Sprintf(`DELETE FROM lanes WHERE used_at < %s - %d`, pgNow, laneKept.Milliseconds())
	if _, err := e.pool.ExecContext(ctx, text); err != nil {
		e.logger.Warn("remove lanes that nobody uses", "error", err)
	}
}
