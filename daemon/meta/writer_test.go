//go:build !postgres

package meta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

func openTest(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func set(name string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, '1')`, name)
		return err
	}
}

// isSet reads the test's own rows.
func isSet(t *testing.T, db *DB, name string) (found bool) {
	t.Helper()
	err := db.view(t.Context(), "test", func(q query) (err error) {
		found, err = q.one(`SELECT value FROM settings WHERE name = ?`, []any{name}, new(string))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// together runs the operations in one group: they queue behind one that
// blocks the writer until all are there. It gives their errors in order.
func together(t *testing.T, db *DB, d []durability, fns ...func(*tx) error) []error {
	t.Helper()
	running, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.update(context.Background(), relaxed, "gate", func(*tx) error { close(running); <-release; return nil }); err != nil {
			t.Errorf("gate: %v", err)
		}
	})
	<-running
	errs := make([]error, len(fns))
	for i, fn := range fns {
		wg.Go(func() { errs[i] = db.update(context.Background(), d[i], fmt.Sprint("op", i), fn) })
		waitQueued(db, i+1)
	}
	close(release)
	wg.Wait()
	return errs
}

func waitQueued(db *DB, n int) {
	for db.Queued() < n {
		time.Sleep(100 * time.Microsecond)
	}
}

func all(d durability, n int) []durability {
	list := make([]durability, n)
	for i := range list {
		list[i] = d
	}
	return list
}

func TestOneOperationFailsAlone(t *testing.T) {
	db := openTest(t)
	mine := errors.New("mine")
	errs := together(t, db, all(full, 4),
		set("a"),
		func(x *tx) error { return errors.Join(set("b")(x), mine) },
		func(x *tx) error { _ = set("c")(x); panic("in an operation") },
		set("d"))
	if errs[0] != nil || !errors.Is(errs[1], mine) || protocol.KindOf(errs[2]) != protocol.KindInternal || errs[3] != nil {
		t.Errorf("got %v", errs)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true} {
		if got := isSet(t, db, name); got != want {
			t.Errorf("%s is there: %v, want %v", name, got, want)
		}
	}
}

// A commit that fails must be every operation's failure: here the last one
// leaves a broken reference that is checked only then.
func TestFailedCommitFailsTheGroup(t *testing.T) {
	db := openTest(t)
	dangling := func(x *tx) error {
		_, err := x.exec(`PRAGMA defer_foreign_keys = ON`)
		if err == nil {
			_, err = x.exec(`INSERT INTO sweep_candidates (blob_id, offered_at) VALUES (7777, 0)`)
		}
		return err
	}
	for i, err := range together(t, db, all(full, 3), set("a"), set("b"), dangling) {
		if protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("operation %d: got %v", i, err)
		}
	}
	if isSet(t, db, "a") || isSet(t, db, "b") {
		t.Error("an operation that was told it failed is there")
	}
	if err := db.update(t.Context(), full, "after", set("a")); err != nil {
		t.Errorf("the writer did not go on: %v", err)
	}
}

func TestManyOperationsAtOnce(t *testing.T) {
	db := openTest(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			name := fmt.Sprint("n", i)
			if err := db.update(t.Context(), durability(i%2), "set", set(name)); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !isSet(t, db, name) {
				t.Errorf("%s was answered and cannot be read", name)
			}
		})
	}
	wg.Wait()
}

// Whether a commit waits for the disk is what the connection is set to then.
func TestDurabilityOfGroups(t *testing.T) {
	db := openTest(t)
	const normal, waits = 1, 2
	var level int
	look := func(*tx) error {
		return writerOf(db).conn.QueryRowContext(context.Background(), "PRAGMA synchronous").Scan(&level)
	}
	for _, c := range []struct {
		ops  []durability
		want int
	}{
		{[]durability{full}, waits}, {[]durability{relaxed}, normal}, {[]durability{relaxed, relaxed, relaxed}, normal},
		{[]durability{relaxed, full, relaxed}, waits}, {[]durability{full, full}, waits}, {[]durability{relaxed, relaxed}, normal}, {[]durability{full}, waits},
	} {
		fns := make([]func(*tx) error, len(c.ops))
		for i := range fns {
			fns[i] = look
		}
		if err := errors.Join(together(t, db, c.ops, fns...)...); err != nil {
			t.Fatal(err)
		}
		if level != c.want {
			t.Errorf("group %v ran at level %d, want %d", c.ops, level, c.want)
		}
	}
}

func TestContextOfAnOperation(t *testing.T) {
	db := openTest(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.update(ended, full, "ended before", set("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("ended before: got %v", err)
	}

	queued, cancelQueued := context.WithCancel(t.Context())
	running, release := make(chan struct{}), make(chan struct{})
	during, cancelDuring := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var runningErr, queuedErr error
	wg.Go(func() {
		runningErr = db.update(during, full, "runs", func(x *tx) error { close(running); <-release; return set("b")(x) })
	})
	<-running
	wg.Go(func() { queuedErr = db.update(queued, full, "waits", set("c")); close(release) })
	waitQueued(db, 1)
	cancelDuring()
	cancelQueued() // its caller returns, and lets the first one go on
	wg.Wait()
	if runningErr != nil || !isSet(t, db, "b") {
		t.Errorf("an operation that ran was not awaited: %v", runningErr)
	}
	if !errors.Is(queuedErr, context.Canceled) || isSet(t, db, "c") || isSet(t, db, "a") {
		t.Errorf("an operation that its caller gave up ran: %v", queuedErr)
	}
}

func TestCloseRunsWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	running, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.update(t.Context(), full, "gate", func(*tx) error { close(running); <-release; return nil })
	})
	<-running
	wg.Go(func() {
		if err := db.update(t.Context(), relaxed, "waits", set("a")); err != nil {
			t.Errorf("waits: %v", err)
		}
	})
	waitQueued(db, 1)
	wg.Go(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	close(release)
	wg.Wait()
	if err := db.update(t.Context(), full, "late", set("b")); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("after close: got %v", err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a clean close leaves the log: %v", err)
	}
	if db, err = Open(t.Context(), Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	if !isSet(t, db, "a") {
		t.Error("what waited at close is not there")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestFullDiskPasses(t *testing.T) {
	db := openTest(t)
	limit := func(pages string) {
		t.Helper()
		if err := db.update(t.Context(), relaxed, "limit", func(*tx) error {
			_, err := writerOf(db).conn.ExecContext(context.Background(), "PRAGMA max_page_count="+pages)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	big := func(name string) func(*tx) error {
		return func(x *tx) error {
			_, err := x.exec(`INSERT INTO settings (name, value) VALUES (?, ?)`, name, string(make([]byte, 1<<20)))
			return err
		}
	}
	limit("1")
	if err := db.update(t.Context(), full, "big", big("a")); protocol.KindOf(err) != protocol.KindStoreFull {
		t.Errorf("full: got %v", err)
	}
	if isSet(t, db, "a") {
		t.Error("a refused write is there")
	}
	limit("1073741823")
	if err := db.update(t.Context(), full, "big", big("a")); err != nil {
		t.Errorf("space returned: %v", err)
	}
}

func TestAnotherProcessHoldsTheDatabase(t *testing.T) {
	db := openTest(t)
	if _, err := writerOf(db).conn.ExecContext(t.Context(), "PRAGMA busy_timeout=0"); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", db.cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	other.SetMaxOpenConns(1)
	defer func() { _ = other.Close() }()
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := db.update(t.Context(), full, "set", set("a")); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("held: got %v", err)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.update(t.Context(), full, "set", set("a")); err != nil {
		t.Errorf("released: %v", err)
	}
}

func TestDamageStopsWrites(t *testing.T) {
	db := openTest(t)
	damage := errors.New("disk I/O error")
	writerOf(db).dialect.classify = func(err error) failure {
		if errors.Is(err, damage) {
			return failedBroken
		}
		return sqliteClassify(err)
	}
	errs := together(t, db, all(full, 2), set("a"), func(*tx) error { return damage })
	errs = append(errs, db.update(t.Context(), full, "later", set("b")), db.Ping(t.Context()))
	for i, err := range errs {
		if protocol.KindOf(err) != protocol.KindInternal || !errors.Is(err, damage) {
			t.Errorf("%d: got %v", i, err)
		}
	}
	if isSet(t, db, "a") || isSet(t, db, "b") {
		t.Error("something was written after the damage")
	}
}

func TestLongLogIsCut(t *testing.T) {
	db := openTest(t)
	if err := db.update(t.Context(), full, "set", func(x *tx) error { writerOf(db).checkpointAt = 1; return set("a")(x) }); err != nil {
		t.Fatal(err)
	}
	if err := db.update(t.Context(), full, "set", set("b")); err != nil {
		t.Fatal(err)
	}
	writerOf(db).stop()
	if writerOf(db).checkpointAt != walMax {
		t.Errorf("after a cut the next is due at %d", writerOf(db).checkpointAt)
	}
	if err := writerOf(db).log.checkpoint(writerOf(db).conn, true); err != nil {
		t.Errorf("checkpoint: %v", err)
	}
	if info, err := os.Stat(writerOf(db).walPath); err != nil || info.Size() != 0 {
		t.Errorf("the log is %v, %v", info, err)
	}
}

// A checkpoint that fails to sync the log may have lost what was written to it
// since the last sync: nothing may be acknowledged behind that.
func TestFailedCheckpointEndsAllWrites(t *testing.T) {
	damage := errors.New("the log could not be synced")
	d, log := sqliteDialect(), sqliteLog()
	checkpoint, classify := log.checkpoint, d.classify
	var begun atomic.Int64
	log.checkpoint = func(conn *sql.Conn, cut bool) error {
		begun.Add(1)
		return errors.Join(checkpoint(conn, cut), damage)
	}
	d.classify = func(err error) failure {
		if errors.Is(err, damage) {
			return failedBroken
		}
		return classify(err)
	}
	db, err := openSQLite(t.Context(), Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler)}, d, log)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	groups := 0
	for ; err == nil; groups++ {
		err = db.update(t.Context(), relaxed, "set", set(fmt.Sprint(groups)))
	}
	if begun.Load() != 1 || groups < groupsPerCheckpoint-10 || groups > groupsPerCheckpoint+10 || !errors.Is(err, damage) {
		t.Errorf("%d checkpoints and %d groups, then %v", begun.Load(), groups, err)
	}
	if ping := db.Ping(t.Context()); protocol.KindOf(ping) != protocol.KindInternal {
		t.Errorf("ping: %v", ping)
	}
}

// SQLite begins no checkpoint by itself, since it would not tell of a failure.
func TestNoCheckpointOfItsOwn(t *testing.T) {
	db := openTest(t)
	var pages int
	if err := writerOf(db).conn.QueryRowContext(t.Context(), "PRAGMA wal_autocheckpoint").Scan(&pages); err != nil || pages != 0 {
		t.Errorf("autocheckpoint at %d pages, %v", pages, err)
	}
}

// A reader that rests on an old state makes a cut impossible: it is put off,
// and the writers do not wait.
func TestReaderPutsTheCutOff(t *testing.T) {
	db := openTest(t)
	err := db.view(t.Context(), "old", func(q query) error {
		if _, err := q.one(`SELECT COUNT(*) FROM settings`, nil, new(int)); err != nil {
			return err
		}
		if err := db.update(t.Context(), full, "set", set("a")); err != nil {
			return err
		}
		if err := writerOf(db).log.checkpoint(writerOf(db).conn, true); err == nil {
			t.Error("the log was cut under a reader")
		}
		return db.update(t.Context(), full, "set", set("b"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadersAreBoundedAndAwaited(t *testing.T) {
	db := openTest(t)
	var wg sync.WaitGroup
	release, running := make(chan struct{}), make(chan struct{}, readerCount())
	for range readerCount() {
		wg.Go(func() {
			if err := db.view(t.Context(), "hold", func(query) error { running <- struct{}{}; <-release; return nil }); err != nil {
				t.Errorf("hold: %v", err)
			}
		})
	}
	for range readerCount() {
		<-running
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.view(ctx, "one more", func(query) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("one more: got %v", err)
	}
	close(release)
	wg.Wait()
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestReadsAfterClose: no session is coming back that they could wait for.
func TestReadsAfterClose(t *testing.T) {
	var db *DB
	if err := openClosed(t, filepath.Join(t.TempDir(), "meta.db"), func(d *DB) { db = d }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for name, err := range map[string]error{
		"look": db.Ping(ctx),
		"view": db.view(ctx, "read", func(query) error { return nil }),
	} {
		if protocol.KindOf(err) != protocol.KindUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
