//go:build postgres

package meta_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// Processes that find an empty database at once make one together, as one of
// them alone would have made it.
func TestProcessesMakeOnePostgres(t *testing.T) {
	const rounds, count = 20, 8
	want := schemaOf(t, pgtest.Database(t, t.Name()))
	waited := 0
	for round := range rounds {
		name := fmt.Sprint(t.Name(), round)
		url := pgtest.Empty(t, name)
		var seen, logged [count]string
		var wg sync.WaitGroup
		for i := range count {
			wg.Go(func() { seen[i], logged[i] = startLoggedChild(t, url, fmt.Sprintf("t%d", i)) })
		}
		wg.Wait()
		for i, s := range seen {
			if s != seen[0] || s == "" {
				t.Errorf("round %d: one saw %q, another %q", round, seen[0], s)
			}
			if strings.Contains(logged[i], "waiting for another ospd") {
				waited++
			}
		}
		if got := schemaOf(t, url); got != want {
			t.Errorf("round %d: together they made\n%s\nwant\n%s", round, got, want)
		}
		checkTokens(t, url, count)
		pgtest.Remove(t, name)
	}
	if waited == 0 {
		t.Error("none of them met another, so that this proves nothing")
	}
}

func checkTokens(t *testing.T, url string, want int) {
	t.Helper()
	db, err := meta.Open(t.Context(), meta.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if list, err := db.Tokens(t.Context(), ""); err != nil || len(list) != want {
		t.Errorf("%d tokens of %d, %v", len(list), want, err)
	}
}

// schemaOf is all that the migrations made of a database, and how often each
// of them ran.
func schemaOf(t *testing.T, url string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if err := conn.QueryRow(t.Context(), `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT concat_ws(' ', 'column', table_name, ordinal_position, column_name, data_type, collation_name, is_nullable, identity_generation, column_default)
			FROM information_schema.columns WHERE table_schema = current_schema()
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()
		UNION ALL SELECT concat_ws(' ', 'constraint of', conrelid::regclass, conname, pg_get_constraintdef(oid))
			FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
		UNION ALL SELECT concat_ws(' ', 'migration', version_id, is_applied, 'ran', COUNT(*), 'times') FROM goose_db_version GROUP BY version_id, is_applied
		) schema (line)`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
