//go:build postgres

package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// pooled is a PgBouncer that gives each transaction another connection, and
// the test's database.
func pooled(t *testing.T) (b *pgtest.Bouncer, address string) {
	t.Helper()
	address = pgtest.Database(t, t.Name())
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = pgtest.StartBouncer(t.Context(), u.Query().Get("host"), pgtest.PerTransaction); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b, address
}

// What became of a commit is found out behind a pooler too, also where the
// pooler keeps the transaction whose client is gone: the server ends it, by
// the time that the transaction itself was given.
func TestLostCommitsBehindPgBouncer(t *testing.T) {
	b, address := pooled(t)
	name := path.Base(strings.Split(address, "?")[0])
	lostCommits(t, func(t *testing.T, fate func() pgtest.Fate) *DB {
		db := through(t, b.Dir(), name, url.Values{"idle_in_transaction_session_timeout": {"500ms"}, "default_query_exec_mode": {"exec"}}, fate)
		if err := db.update(t.Context(), full, "begin anew", func(x *tx) error {
			_, err := x.exec(`DELETE FROM settings WHERE name LIKE 'test/%'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return db
	})
}

// Each transaction behind a pooler has the bounds of the address, and whoever
// has the connection afterwards does not.
func TestSettingsBehindPgBouncer(t *testing.T) {
	b, address := pooled(t)
	before, err := b.Before(address, url.Values{"default_query_exec_mode": {"exec"}, "statement_timeout": {"300ms"}, "lock_timeout": {"1234ms"}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Config{URL: before, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	const show = `SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')`
	var wg sync.WaitGroup
	for range 16 { // more than there are connections of the server
		wg.Go(func() {
			var wrote, saw string
			err := errors.Join(
				db.update(context.Background(), full, "show", func(x *tx) error { _, err := x.one(show, nil, &wrote); return err }),
				db.view(context.Background(), "show", func(q query) error { _, err := q.one(show, nil, &saw); return err }))
			if want := "300ms 1234ms 15s"; err != nil || wrote != want || saw != want {
				t.Errorf("a write has %q, a view %q, want %q, %v", wrote, saw, want, err)
			}
		})
	}
	wg.Wait()
	other := poolOf(t, before)
	for range 16 {
		var got string
		if err := other.QueryRowContext(t.Context(), show).Scan(&got); err != nil || got != "0 0 0" {
			t.Errorf("others have %q, %v", got, err)
		}
	}
	if err := db.update(t.Context(), full, "sleep", func(x *tx) error { _, err := x.exec(`SELECT pg_sleep(60)`); return err }); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("a statement without end: %v", err)
	}
}

// An address that does not tell of the pooler is refused with what is to be
// added to it.
func TestPgBouncerThatNobodyTellsOf(t *testing.T) {
	b, address := pooled(t)
	before, err := b.Before(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenImpatient(t.Context(), Config{URL: before, Logger: slog.New(slog.DiscardHandler)})
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Kind != protocol.KindUnavailable || !strings.Contains(e.Hint, "default_query_exec_mode=exec") {
		t.Errorf("got %v", err)
	}
}

// Behind a pooler a connection may be told what another asked to hear. It does
// not gather that.
func TestNotificationsAreNotKept(t *testing.T) {
	db := openLocated(t)
	conn, err := db.engine.(*pgEngine).pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := conn.Raw(func(c any) error {
		x := c.(*stdlib.Conn).Conn()
		if _, err := x.Exec(t.Context(), `LISTEN other; NOTIFY other`); err != nil {
			return err
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := x.WaitForNotification(gone); err == nil {
			return fmt.Errorf("it kept word of %s", n.Channel)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
