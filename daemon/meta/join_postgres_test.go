//go:build postgres

package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// living are the worker numbers in use, as those have them who use them.
type living struct {
	mu sync.Mutex
	by map[int]NodeID
}

func (l *living) add(t *testing.T, lease NodeLease) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, taken := l.by[lease.Worker]; taken {
		t.Errorf("worker %d of %s was given to %s", lease.Worker, other, lease.Node)
	}
	l.by[lease.Worker] = lease.Node
}

func (l *living) drop(lease NodeLease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, lease.Worker)
}

// Five thousand nodes come and go, many at a time: no two that live have one
// worker number, and the numbers do not run out.
func TestWorkersAreLeased(t *testing.T) {
	const processes, each, writes = 8, 625, 25
	held := living{by: map[int]NodeID{}}
	var wg sync.WaitGroup
	for p := range processes {
		db := node(t)
		wg.Go(func() {
			for i := range each {
				n := NewNode{ID: NodeID(fmt.Sprintf("%d-%d", p, i)), Address: "127.0.0.1:1"}
				lease, err := db.TakeNode(t.Context(), n, time.Hour)
				if err != nil {
					t.Errorf("node %s: %v", n.ID, err)
					return
				}
				held.add(t, lease)
				if i%writes == 0 {
					if err := db.update(t.Context(), full, "set", set("test/"+string(n.ID))); err != nil {
						t.Errorf("node %s writes: %v", n.ID, err)
					}
				}
				held.drop(lease)
				if err := db.LeaveNode(t.Context(), lease); err != nil {
					t.Errorf("node %s leaves: %v", n.ID, err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, node(t)); n != processes*each/writes {
		t.Errorf("%d writes took place", n)
	}
}

// A node that was stopped past its lease goes on while its number is its own,
// and can write nothing once another has that.
func TestStoppedPeer(t *testing.T) {
	a, b, c := node(t), node(t), node(t)
	lease, err := a.TakeNode(t.Context(), NewNode{ID: "a"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	expire(t)
	if _, err := b.TakeNode(t.Context(), NewNode{ID: "b"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := a.update(t.Context(), full, "set", set("test/a")); err != nil {
		t.Errorf("a node whose place nobody took: %v", err)
	}
	if _, err := a.KeepNode(t.Context(), lease, time.Minute, NodeReport{}); err != nil {
		t.Errorf("a node whose place nobody took comes back: %v", err)
	}
	// All other numbers are in use.
	for i := range workers - 2 {
		pgtest.Exec(t, t.Name(), nil, `INSERT INTO nodes (name, worker, address, boot_id, lease_until, started_at, alone) VALUES (?, ?, '', '', 9999999999999, 0, 0)`,
			fmt.Sprint("other", i), i+2)
	}
	if _, err := c.TakeNode(t.Context(), NewNode{ID: "c"}, time.Minute); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("a number beyond all: %v", err)
	}
	pgtest.Exec(t, t.Name(), nil, `UPDATE nodes SET lease_until = 1 WHERE name = 'a'`)
	taken, err := c.TakeNode(t.Context(), NewNode{ID: "c"}, time.Minute)
	if err != nil || taken.Worker != lease.Worker {
		t.Fatalf("got worker %d, %v", taken.Worker, err)
	}
	wantFenced(t, a)
	if _, err := a.KeepNode(t.Context(), lease, time.Minute, NodeReport{}); !errors.Is(err, ErrNodeLost) {
		t.Errorf("a node whose number another has: %v", err)
	}
	for name, db := range map[string]*DB{"test/b": b, "test/c": c} {
		if err := db.update(t.Context(), full, "set", set(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A machine that was cloned while it ran has one lease twice: of the two that keep
// it, one goes on, and the other learns of it as it keeps it next.
func TestALeaseIsKeptByOne(t *testing.T) {
	a, clone := node(t), node(t)
	lease, err := a.TakeNode(t.Context(), NewNode{ID: "a"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(db *DB, d time.Duration) error {
		_, err := db.KeepNode(t.Context(), lease, d, NodeReport{})
		return err
	}
	for range 2 {
		if err := keep(a, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	clone.engine.writeAs(lease)
	clone.kept.lease, clone.kept.latest = lease, a.kept.latest
	if err := keep(clone, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := keep(a, 3*time.Minute); !errors.Is(err, ErrNodeLost) {
		t.Errorf("two keep one lease: %v", err)
	}
	if err := keep(clone, 2*time.Minute); err != nil {
		t.Errorf("the other does not go on: %v", err)
	}
}

// A process that renews its lease twice at once is not taken for two.
func TestALeaseIsKeptTwiceAtOnce(t *testing.T) {
	db := node(t)
	lease, err := db.TakeNode(t.Context(), NewNode{ID: "a"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	for range 4 {
		all.Go(func() {
			for range 25 {
				if _, err := db.KeepNode(t.Context(), lease, time.Minute, NodeReport{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
}

// Peers work with the schema that there is: another that would change it waits
// for all of them to end, and one that was stopped meanwhile does not go on with
// the new one.
func TestNoMigrationUnderPeers(t *testing.T) {
	a, b := node(t), node(t)
	for _, p := range []struct {
		db *DB
		id NodeID
	}{{a, "a"}, {b, "b"}} {
		if _, err := p.db.TakeNode(t.Context(), NewNode{ID: p.id, Spot: "here"}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Exec(t, t.Name(), nil, `DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)`)
	open := func() error {
		_, err := Open(context.Background(), Config{URL: pgtest.Database(t, t.Name()), Node: NewNode{ID: "a", Spot: "here"}, Logger: slog.New(slog.DiscardHandler)})
		return err
	}
	if err := open(); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("beside a peer: %v", err)
	}
	if err := errors.Join(a.update(t.Context(), full, "set", set("test/a")), b.update(t.Context(), full, "set", set("test/b"))); err != nil {
		t.Errorf("a refused change fenced: %v", err)
	}
	expire(t)
	// What the migration makes is there already: that it is tried is what counts.
	if err := open(); err == nil || protocol.KindOf(err) == protocol.KindUnavailable {
		t.Errorf("after all leases: %v", err)
	}
	wantFenced(t, a)
	wantFenced(t, b)
}
