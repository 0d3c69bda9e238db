//go:build postgres

package meta_test

import (
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// TestSignals: what one process makes due another that shares the database
// hears of, also after its connection was lost.
func TestSignals(t *testing.T) {
	url := pgtest.Database(t, t.Name())
	open := func() *meta.DB {
		db, err := meta.Open(t.Context(), meta.Config{URL: url, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	}
	here, there := open(), open()
	word, stop := here.JobHints()
	defer stop()
	_, stopThere := there.JobHints()
	defer stopThere()
	<-word // it listens, and looks at what it missed
	for range 3 {
		// One may be on its way still; then this is word of it, and the next of this.
		if _, _, err := there.Enqueue(t.Context(), meta.NewJob{Kind: "k"}); err != nil {
			t.Fatal(err)
		}
		<-word
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	var ended int
	if err := conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN %') gone`).Scan(&ended); err != nil || ended != 2 {
		t.Fatalf("%d listening connections were ended, %v", ended, err)
	}
	<-word // it listens again
	if _, _, err := there.Enqueue(t.Context(), meta.NewJob{Kind: "k"}); err != nil {
		t.Fatal(err)
	}
	<-word
}
