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

// NewNode is who asks for a place.
type NewNode struct {
	ID NodeID
	// Spot is where it runs, in words that no other process has while this one
	// runs: whoever else held the node's place from there is gone. "" is no spot.
	Spot string
	// Address is where its peers reach it, Version what it runs.
	Address, Version string
	// Alone says that nobody else may have a place while this one has.
	Alone bool
}

// NodeLease is the right to work on the database. The fence is raised by each
// that is given, so that an old one is no right any more.
type NodeLease struct {
	Node NodeID
	// Worker is the number in the uids that the holder mints. While the lease
	// lives, and until another is given the number after that, nobody else has it.
	Worker int
	Fence  int64
	// Draining says that the node was to take nothing new, when it took the place.
	Draining bool
}

// holder names who has the lease.
func (l NodeLease) holder() string { return fmt.Sprintf("%s/%d", l.Node, l.Fence) }

// NodeReport is what a node tells of itself.
type NodeReport struct {
	// Ending says that it stops once its requests have ended.
	Ending bool
	// Load is how many requests it is at work on.
	Load int64
}

// Node is a node that works on the database, or has.
type Node struct {
	ID               NodeID
	Worker           int
	Address, Version string
	// Since is when it started, Until when its lease ends or ended.
	Since, Until time.Time
	// Living says that its lease has not ended, by the time of the database.
	Living bool
	Alone  bool
	// Draining says that it is to take nothing new: see DB.DrainNode.
	Draining bool
	NodeReport
}

// NodeHeld is the error of whoever asks for a place that it cannot have while
// another has one. Times are the database's.
type NodeHeld struct {
	Node         NodeID
	Since, Until time.Time
	// Left is how long it is to Until.
	Left time.Duration
	// Alone says that the other lets nobody be there beside it.
	Alone bool
}

func (h *NodeHeld) Error() string {
	return fmt.Sprintf("node %s holds the database since %s, until %s", h.Node, h.Since.Format(time.RFC3339), h.Until.Format(time.RFC3339))
}

// ErrNodeLost: another has the place now.
var ErrNodeLost = errors.New("another node has the place of this one on the database now")

// errFenced is a write's error where another has the place.
var errFenced = &protocol.Error{Kind: protocol.KindUnavailable, Err: ErrNodeLost,
	Message: "another daemon has the place of this one on the database now, this one can change nothing any more; nothing was changed"}

// TakeNode gives a node a place on a database that others can reach, for the
// time of the lease, and with it a worker number. It has none while a lease of
// its own lives that is not from its spot: that is a copy of it. A node that is
// to be alone has none beside any lease that lives, and nobody has one beside a
// node that is alone; else the error is a *NodeHeld. A node's place stays its
// own, with its worker number, until another is given the number, which happens
// only once its lease has ended and all others are given away or held.
//
// All that this DB writes from then on it writes as the holder of the lease.
// Whoever held before what is taken can write nothing any more: the holder of
// the same place, the one whose number is taken, those whose leases have ended
// where the node is to be alone, and any that was alone. On Postgres their lanes
// are taken away in the same transaction, which waits for what was under way in
// them, and they get no others. (On SQLite two processes are kept apart by the
// lock on the data folder.)
func (db *DB) TakeNode(ctx context.Context, n NewNode, lease time.Duration) (l NodeLease, err error) {
	err = db.update(ctx, full, "take a place on the database", func(t *tx) (err error) {
		j := joining{tx: t, node: n, fenceOff: db.dialect.fenceOff}
		l, err = j.take(lease)
		return err
	})
	if err == nil {
		db.engine.writeAs(l)
		db.kept.begin(l)
	}
	return l, err
}

// KeepNode makes the lease last from now on, and has others see the report. One
// that ran out and whose place was not taken goes on; one whose was is
// ErrNodeLost, and so is one that somebody else keeps too: a machine that was
// cloned while it ran has the same lease twice. now is the time by which leases
// run.
func (db *DB) KeepNode(ctx context.Context, l NodeLease, lease time.Duration, r NodeReport) (now time.Time, err error) {
	done, err := db.kept.await(ctx)
	if err != nil {
		return now, err
	}
	defer done()
	// What a power cut takes back is given again by the next.
	err = db.update(ctx, relaxed, "keep the place on the database", func(t *tx) error {
		at, err := t.databaseNow()
		if err != nil {
			return err
		}
		now = timeOf(at)
		until := at + lease.Milliseconds()
		return t.held(t.exec(`UPDATE nodes SET lease_until = ?, ending = ?, load = ? WHERE name = ? AND fence = ? AND lease_until <= ?`,
			until, flag(r.Ending), r.Load, string(l.Node), l.Fence, db.kept.extend(l, until)))
	})
	return now, err
}

// LeaveNode gives the place back, or is ErrNodeLost. The node stays Ending, by
// which it is told from one that died (PruneNodes).
func (db *DB) LeaveNode(ctx context.Context, l NodeLease) error {
	return db.update(ctx, full, "leave the place on the database", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		return t.held(t.exec(`UPDATE nodes SET lease_until = ?, ending = 1, load = 0 WHERE name = ? AND fence = ?`, now, string(l.Node), l.Fence))
	})
}

// held is ErrNodeLost where the lease's row was not there to be changed.
func (t *tx) held(changed int64, err error) error {
	if err == nil && changed == 0 {
		err = ErrNodeLost
	}
	return err
}

// Nodes lists the nodes that have a place or had one that was not taken since,
// in the order of their names.
func (db *DB) Nodes(ctx context.Context) (list []Node, err error) {
	err = db.look(ctx, "list the nodes", func(q query) error {
		list = nil
		var args []any
		now := q.leaseNow(&args)
		return q.each(`SELECT name, worker, address, version, started_at, lease_until, lease_until > `+now+`, alone = 1, draining = 1, ending = 1, load
			FROM nodes ORDER BY name`, args, func(scan scanFunc) error {
			var n Node
			var since, until int64
			err := scan(&n.ID, &n.Worker, &n.Address, &n.Version, &since, &until, &n.Living, &n.Alone, &n.Draining, &n.Ending, &n.Load)
			n.Since, n.Until = timeOf(since), timeOf(until)
			list = append(list, n)
			return err
		})
	})
	return list, err
}

// leaseNow is the time by which leases run, in a statement, of whose arguments it is
// the first, or none.
func (q query) leaseNow(args *[]any) string {
	if q.leaseTime != "" {
		return `(` + q.leaseTime + `)`
	}
	*args = append([]any{q.now}, *args...)
	return `CAST(? AS BIGINT)`
}

// NodeDoubted has word when a write failed because another has the place.
func (db *DB) NodeDoubted() <-chan struct{} { return db.doubted }
