//go:build postgres

package meta_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

func TestPostgres(t *testing.T) {
	var texts meta.Texts
	empty := empties(t)
	metatest.Run(t, func(t testing.TB, clock func() time.Time) *meta.DB {
		db, err := meta.OpenRecording(t.Context(), empty(t, clock), &texts)
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
	t.Run("plans", func(t *testing.T) { checkPlans(t, texts.All(), 60) })
}

// Operations wait for each other where they need the same rows, and where they
// do either may come first. Two operations that both write have hundreds of
// pairs of points: a stage is brought back by one statement for each.
func TestPostgresInterleaved(t *testing.T) {
	metatest.Interleave(t, func(t testing.TB, clock func() time.Time, at func(context.Context)) metatest.Watched {
		cfg := meta.Config{URL: pgtest.Database(t, t.Name()), Clock: clock}
		makeEmpty(t, cfg.URL)
		db, err := meta.OpenWatched(t.Context(), cfg, at)
		if err != nil {
			t.Fatal(err)
		}
		return metatest.Watched{DB: db, Waiting: waiting(t, cfg.URL), Keep: keeping(t, cfg.URL, db)}
	})
}

// waiting gives how many operations on the database wait for others.
func waiting(t testing.TB, url string) func() int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return func() (n int) {
		if err := conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
			t.Error(err)
			return 1
		}
		return n
	}
}

// empties gives databases with nothing in them, one after the other: one that
// is emptied each time, for which nobody may use it any more.
func empties(t *testing.T) func(t testing.TB, clock func() time.Time) meta.Config {
	t.Helper()
	url := pgtest.Database(t, t.Name())
	return func(t testing.TB, clock func() time.Time) meta.Config {
		t.Helper()
		makeEmpty(t, url)
		return meta.Config{URL: url, Clock: clock}
	}
}

func makeEmpty(t testing.TB, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('%I', relname), ', ') || ' RESTART IDENTITY'
		FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname NOT IN ('goose_db_version', 'event_counter'));
		UPDATE event_counter SET last = 0; END $$`)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}
