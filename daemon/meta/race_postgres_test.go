//go:build postgres

package meta

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osproxy/osproxy/protocol"
)

func openLocated(t *testing.T) *DB {
	t.Helper()
	return opened(t, located(t, Config{Path: t.Name()}))
}

// Deadlocks and serialization failures are run again, a few times, and so is
// what finds a row there that it did not see; nothing else is.
func TestRacesAreRunAgain(t *testing.T) {
	db := openLocated(t)
	for code, last := range map[string]protocol.Kind{
		"40001": protocol.KindUnavailable, "40P01": protocol.KindUnavailable, "23505": protocol.KindInternal,
	} {
		for fails := range pgTries + 1 {
			runs := 0
			err := db.update(t.Context(), full, "race", func(x *tx) error {
				runs++
				if err := set(fmt.Sprint("test/", code, fails))(x); err != nil || runs > fails {
					return err
				}
				return &pgconn.PgError{Severity: "ERROR", Code: code}
			})
			switch {
			case fails < pgTries && (err != nil || runs != fails+1):
				t.Errorf("%s, %d times: %v after %d runs", code, fails, err, runs)
			case fails == pgTries && (protocol.KindOf(err) != last || runs != pgTries):
				t.Errorf("%s, always: %v after %d runs", code, err, runs)
			}
		}
	}
	runs := 0
	if err := db.update(t.Context(), full, "refused", func(x *tx) error {
		runs++
		_, err := x.exec(`INSERT INTO dirs (store, number, reserved_at) VALUES ('s', -1, 0)`)
		return err
	}); protocol.KindOf(err) != protocol.KindInternal || runs != 1 {
		t.Errorf("what is refused: %v after %d runs", err, runs)
	}
	if n := count(t, db); n != 3*pgTries {
		t.Errorf("%d rows are there", n)
	}
}

// Two operations that lock the same rows in other orders both take place.
func TestDeadlock(t *testing.T) {
	db := openLocated(t)
	for _, name := range []string{"test/a", "test/b"} {
		if err := db.update(t.Context(), full, "set", set(name)); err != nil {
			t.Fatal(err)
		}
	}
	var meet, wg sync.WaitGroup
	meet.Add(2)
	var runs atomic.Int64
	for _, order := range [][2]string{{"test/a", "test/b"}, {"test/b", "test/a"}} {
		wg.Go(func() {
			met := false
			if err := db.update(context.Background(), full, "lock both", func(x *tx) error {
				runs.Add(1)
				for _, name := range order {
					if _, err := x.exec(`UPDATE settings SET value = value || '1' WHERE name = ?`, name); err != nil {
						return err
					}
					if !met {
						met = true
						meet.Done()
						meet.Wait()
					}
				}
				return nil
			}); err != nil {
				t.Errorf("order %v: %v", order, err)
			}
		})
	}
	wg.Wait()
	if n := runs.Load(); n != 3 {
		t.Errorf("they ran %d times together, want 3", n)
	}
	var changed int
	if err := db.look(t.Context(), "read", func(q query) error {
		_, err := q.one(`SELECT COUNT(*) FROM settings WHERE name LIKE 'test/%' AND value = '111'`, nil, &changed)
		return err
	}); err != nil || changed != 2 {
		t.Errorf("%d rows were changed by both, %v", changed, err)
	}
}

// An operation that goes on after a statement failed changes nothing, and says
// so.
func TestGoingOnAfterAnError(t *testing.T) {
	db := openLocated(t)
	err := db.update(t.Context(), full, "go on", func(x *tx) error {
		if err := set("test/a")(x); err != nil {
			return err
		}
		_ = set("test/a")(x)
		return nil
	})
	if n := count(t, db); protocol.KindOf(err) != protocol.KindInternal || n != 0 {
		t.Errorf("got %v, and %d rows are there", err, n)
	}
}
