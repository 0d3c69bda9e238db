package meta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// NodeID names a node: a data folder, and whoever works on it.
type NodeID string

// NewNode is who asks for the place.
type NewNode struct {
	ID NodeID
	// Spot is where it runs, in words that no other process has while this one
	// runs: whoever else held the place from there is gone. "" is no spot.
	Spot string
}

// NodeLease is the right to work on the database. The fence is raised by each
// that is given, so that an old one is no right any more.
type NodeLease struct {
	Node  NodeID
	Fence int64
}

// holder names who has the lease.
func (l NodeLease) holder() string { return fmt.Sprintf("%s/%d", l.Node, l.Fence) }

// NodeHeld is the error of whoever asks for a place that another has. Times are
// the database's.
type NodeHeld struct {
	Node         NodeID
	Since, Until time.Time
	// Left is how long it is to Until.
	Left time.Duration
}

func (h *NodeHeld) Error() string {
	return fmt.Sprintf("node %s holds the database since %s, until %s", h.Node, h.Since.Format(time.RFC3339), h.Until.Format(time.RFC3339))
}

// ErrNodeLost: another has the place now.
var ErrNodeLost = errors.New("another node has the database now")

// errFenced is a write's error where another has the place.
var errFenced = &protocol.Error{Kind: protocol.KindUnavailable, Err: ErrNodeLost,
	Message: "another daemon works on the database now, this one can change nothing any more; nothing was changed"}

// placeWorker is the worker number of the one place there is.
const placeWorker = 0

// placeRow is who has the place, or had it last.
type placeRow struct {
	lease        NodeLease
	spot         string
	until, since int64
}

// mayReturn reports whether the node held the place from where it is now, and
// so does not any more.
func (r placeRow) mayReturn(n NewNode) bool {
	return n.Spot != "" && r.lease.Node == n.ID && r.spot == n.Spot
}

func (r placeRow) held(left int64) *NodeHeld {
	return &NodeHeld{Node: r.lease.Node, Since: timeOf(r.since), Until: timeOf(r.until), Left: time.Duration(left) * time.Millisecond}
}

// TakeNode takes the place of the one process that works on a database which
// others can reach, for the time of the lease. It is free at first, when it was
// given back, when the lease ran out, and for a node that held it at the same
// spot; else the error is a *NodeHeld. All that this DB writes from then on it
// writes as the holder of the lease, and whoever held the place before can
// write nothing any more: on Postgres its lanes are taken away in the same
// transaction, which waits for what was under way in them, and it gets no
// others. (On SQLite two processes are kept apart by the lock on the data
// folder.)
func (db *DB) TakeNode(ctx context.Context, n NewNode, lease time.Duration) (l NodeLease, err error) {
	err = db.update(ctx, full, "take the place of the daemon", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		var by placeRow
		found, err := t.one(`SELECT name, boot_id, fence, lease_until, started_at FROM nodes WHERE worker = ? FOR UPDATE`,
			[]any{placeWorker}, &by.lease.Node, &by.spot, &by.lease.Fence, &by.until, &by.since)
		if err != nil {
			return err
		}
		l = NodeLease{Node: n.ID, Fence: by.lease.Fence + 1}
		if !found {
			_, err = t.exec(`INSERT INTO nodes (name, worker, address, boot_id, fence, lease_until, started_at) VALUES (?, ?, '', ?, ?, ?, ?)`,
				string(n.ID), placeWorker, n.Spot, l.Fence, now+lease.Milliseconds(), now)
			return err
		}
		if left := by.until - now; left > 0 && !by.mayReturn(n) {
			return by.held(left)
		}
		if db.dialect.fenceOff != nil {
			if err := db.dialect.fenceOff(t, by.lease.holder()); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE nodes SET name = ?, boot_id = ?, fence = ?, lease_until = ?, started_at = ? WHERE worker = ?`,
			string(n.ID), n.Spot, l.Fence, now+lease.Milliseconds(), now, placeWorker)
		return err
	})
	if err == nil {
		db.engine.writeAs(l)
	}
	return l, err
}

// KeepNode makes the lease last from now on. One that ran out and was given to
// nobody goes on; one that was is ErrNodeLost.
func (db *DB) KeepNode(ctx context.Context, l NodeLease, lease time.Duration) error {
	// What a power cut takes back is given again by the next.
	return db.update(ctx, relaxed, "keep the place of the daemon", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		return t.setLease(l, now+lease.Milliseconds())
	})
}

// LeaveNode gives the place back, or is ErrNodeLost.
func (db *DB) LeaveNode(ctx context.Context, l NodeLease) error {
	return db.update(ctx, full, "leave the place of the daemon", func(t *tx) error { return t.setLease(l, 0) })
}

func (t *tx) setLease(l NodeLease, until int64) error {
	n, err := t.exec(`UPDATE nodes SET lease_until = ? WHERE worker = ? AND name = ? AND fence = ?`, until, placeWorker, string(l.Node), l.Fence)
	if err == nil && n == 0 {
		err = ErrNodeLost
	}
	return err
}

// NodeDoubted has word when a write failed because another has the place.
func (db *DB) NodeDoubted() <-chan struct{} { return db.doubted }
