//go:build postgres

package meta_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// keeping gives what notes all that a database holds, but for what tells of
// writes that took place. What that gives brings it back, with the numbers that
// would come next, while no operation is under way.
func keeping(t testing.TB, url string, db *meta.DB) (keep func() (back func())) {
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
	run := func(text string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	return func() func() {
		run(`SET session_replication_role = replica; DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept`)
		var back strings.Builder
		for _, name := range column(t, url, `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
			AND relname NOT IN ('goose_db_version', 'lanes')`) {
			run(fmt.Sprintf(`CREATE TABLE kept.%s AS TABLE public.%[1]s`, name))
			fmt.Fprintf(&back, "DELETE FROM public.%s; INSERT INTO public.%[1]s OVERRIDING SYSTEM VALUE TABLE kept.%[1]s;\n", name)
		}
		for _, text := range column(t, url, `SELECT format('PERFORM setval(%L, %s, %L);', schemaname || '.' || sequencename,
			COALESCE(last_value, start_value), last_value IS NOT NULL) FROM pg_sequences
			WHERE schemaname = 'public' AND sequencename NOT LIKE 'lanes%' AND sequencename NOT LIKE 'goose%'`) {
			back.WriteString(text + "\n")
		}
		run("CREATE FUNCTION kept.back() RETURNS void LANGUAGE plpgsql AS $$ BEGIN " + back.String() + "END $$")
		return func() {
			t.Helper()
			run(`SELECT kept.back()`)
			db.Forget()
		}
	}
}

// column is what a query of one column gives.
func column(t testing.TB, url, query string) []string {
	t.Helper()
	list, err := pgtest.Rows(t.Context(), url, query)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
