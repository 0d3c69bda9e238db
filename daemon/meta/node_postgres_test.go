//go:build postgres

package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// node is a process on the test's database, and expire what lets the lease of
// whoever has the place run out.
func node(t *testing.T) *DB {
	t.Helper()
	return opened(t, Config{URL: pgtest.Database(t, t.Name()), Logger: slog.New(slog.DiscardHandler)})
}

func expire(t *testing.T) {
	t.Helper()
	pgtest.Exec(t, t.Name(), nil, `UPDATE nodes SET lease_until = 1`)
}

// wantFenced expects that nothing the process writes takes place.
func wantFenced(t *testing.T, db *DB) {
	t.Helper()
	before := count(t, db)
	for _, d := range []durability{full, kept, relaxed} {
		err := db.update(t.Context(), d, "set", set("test/fenced"))
		if !errors.Is(err, ErrNodeLost) || protocol.KindOf(err) != protocol.KindUnavailable {
			t.Errorf("a write after the place was taken: %v", err)
		}
	}
	if n := count(t, db); n != before {
		t.Errorf("%d rows were written after the place was taken", n-before)
	}
}

// Whoever lost the place writes nothing, with the lanes that it had or with new
// ones, and everybody else does.
func TestLostPlaceFences(t *testing.T) {
	a, b, beside := node(t), node(t), node(t)
	if err := beside.update(t.Context(), full, "set", set("test/beside")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.TakeNode(t.Context(), NewNode{ID: "a", Alone: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	for i := range pgConnections { // each goes through the next lane
		if err := a.update(t.Context(), full, "set", set(fmt.Sprint("test/a", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.TakeNode(t.Context(), NewNode{ID: "b", Alone: true}, time.Minute); !isHeld(err) {
		t.Fatalf("taken under a lease: %v", err)
	}
	if err := a.update(t.Context(), full, "set", set("test/refused")); err != nil {
		t.Fatalf("a refused take-over fenced: %v", err)
	}
	expire(t)
	if _, err := b.TakeNode(t.Context(), NewNode{ID: "b", Alone: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	wantFenced(t, a)
	<-a.NodeDoubted()
	for name, db := range map[string]*DB{"test/b": b, "test/beside2": beside} {
		if err := db.update(t.Context(), full, "set", set(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Fenced for good, also by a later lease of its own node.
	expire(t)
	if _, err := beside.TakeNode(t.Context(), NewNode{ID: "a", Alone: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	wantFenced(t, a)
	wantFenced(t, b)
}

func isHeld(err error) bool {
	_, ok := errors.AsType[*NodeHeld](err)
	return ok
}

// A write that is under way while the place is taken takes place before that,
// or not at all: the take-over waits for it.
func TestTakingWaitsForWrites(t *testing.T) {
	a, b, beside := node(t), node(t), node(t)
	if _, err := a.TakeNode(t.Context(), NewNode{ID: "a", Alone: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	expire(t)
	began, goOn, wrote := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		wrote <- a.update(context.Background(), full, "set", func(x *tx) error {
			close(began)
			<-goOn
			return set("test/a")(x)
		})
	}()
	<-began
	took := make(chan error, 1)
	go func() {
		_, err := b.TakeNode(context.Background(), NewNode{ID: "b", Alone: true}, time.Minute)
		took <- err
	}()
	awaitBlocked(t, beside)
	close(goOn)
	if err := errors.Join(<-wrote, <-took); err != nil {
		t.Fatal(err)
	}
	if n := count(t, b); n != 1 {
		t.Errorf("%d rows are there", n)
	}
	wantFenced(t, a)
}

// awaitBlocked waits until a session of the test's database waits for another.
func awaitBlocked(t *testing.T, db *DB) {
	t.Helper()
	for n := 0; n == 0; {
		if err := db.look(t.Context(), "look", func(q query) error {
			_, err := q.one(`SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, nil, &n)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// A schema is not changed under whoever works with it: only whoever comes back
// to its own spot may.
func TestNoMigrationUnderANode(t *testing.T) {
	a, after := node(t), node(t)
	self := NewNode{ID: "a", Spot: "here"}
	if _, err := a.TakeNode(t.Context(), self, time.Minute); err != nil {
		t.Fatal(err)
	}
	older := `DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)`
	pgtest.Exec(t, t.Name(), nil, older)
	open := func(n NewNode) error {
		db, err := Open(t.Context(), Config{URL: pgtest.Database(t, t.Name()), Node: n, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return db.Close()
	}
	for _, n := range []NewNode{{}, {ID: "b", Spot: "here"}} {
		if err := open(n); protocol.KindOf(err) != protocol.KindUnavailable || !strings.Contains(err.Error(), "node a holds the database") {
			t.Errorf("%+v: %v", n, err)
		}
	}
	// What the migration makes is there already: that it is tried is what counts.
	if err := open(self); err == nil || strings.Contains(err.Error(), "node a holds") {
		t.Errorf("back at its spot: %v", err)
	}
	wantFenced(t, a) // what was there before would have gone on with the new schema
	lease, err := after.TakeNode(t.Context(), self, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	// From elsewhere the node waits until the lease of its last run ends, and is
	// refused where that was renewed meanwhile.
	keep := func(d time.Duration) {
		t.Helper()
		if _, err := after.KeepNode(t.Context(), lease, d, NodeReport{}); err != nil {
			t.Fatal(err)
		}
	}
	keep(500 * time.Millisecond)
	renewed := time.AfterFunc(100*time.Millisecond, func() { keep(time.Minute) })
	defer renewed.Stop()
	if err := open(NewNode{ID: "a", Spot: "there"}); protocol.KindOf(err) != protocol.KindUnavailable || !strings.Contains(err.Error(), "node a holds the database") {
		t.Errorf("a copy of a folder that is used: %v", err)
	}
	keep(500 * time.Millisecond)
	if err := open(NewNode{ID: "a", Spot: "there"}); err == nil || strings.Contains(err.Error(), "node a holds") {
		t.Errorf("after another start of the machine: %v", err)
	}
	expire(t)
	if err := open(NewNode{ID: "b"}); err == nil || strings.Contains(err.Error(), "node a holds") {
		t.Errorf("after the lease: %v", err)
	}
}

func TestUsedURL(t *testing.T) {
	address := pgtest.Empty(t, t.Name())
	ask := func(want bool) {
		t.Helper()
		if used, err := UsedURL(t.Context(), address); err != nil || used != want {
			t.Errorf("used is %v, %v", used, err)
		}
	}
	ask(false)
	db, err := Open(t.Context(), Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	ask(true)
	pgtest.Remove(t, t.Name())
	ask(false)
}
