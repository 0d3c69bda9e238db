//go:build postgres

package meta

import (
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// ofPostgres are the tables that SQLite needs no counterpart of.
var ofPostgres = []string{"lanes"}

// One version is one schema: the same tables with the same columns, and the
// same indexes.
func TestSchemasAgree(t *testing.T) {
	lite, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "meta.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lite.Close(); err != nil {
			t.Error(err)
		}
	}()
	address, err := parseAddress(pgtest.Database(t, t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	pool := stdlib.OpenDB(*address.config)
	defer func() { _ = pool.Close() }()
	want, got := map[string]string{}, map[string]string{}
	if err := lite.view(t.Context(), "read the schema", func(q query) error {
		return errorsOf(sqliteColumns(q, want), sqliteIndexes(q, want))
	}); err != nil {
		t.Fatal(err)
	}
	q := query{ctx: t.Context(), run: pool}
	if err := errorsOf(postgresColumns(q, got), postgresIndexes(q, got)); err != nil {
		t.Fatal(err)
	}
	for _, what := range slices.Sorted(maps.Keys(merged(want, got))) {
		if want[what] != got[what] {
			t.Errorf("%s is %q on SQLite, %q on Postgres", what, want[what], got[what])
		}
	}
	if len(want) < 150 {
		t.Errorf("the schema has only %d columns and indexes", len(want))
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func sqliteColumns(q query, into map[string]string) error {
	return q.each(`SELECT m.name, c.name, c.type, c."notnull" OR c.pk > 0, m.sql LIKE '%' || c.name || ' %AUTOINCREMENT%' AND c.pk = 1
		FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose%'`,
		nil, func(scan scanFunc) error {
			var table, column, kind string
			var required, numbered bool
			err := scan(&table, &column, &kind, &required, &numbered)
			// SQLite numbers these by itself, since they need not be new for ever.
			numbered = numbered || table == "outbox" && column == "id"
			into["column "+table+"."+column] = columnText(kind, required, numbered)
			return err
		})
}

func columnText(kind string, required, numbered bool) string {
	if required {
		kind += " required"
	}
	if numbered {
		kind += " numbered"
	}
	return kind
}

// postgresColumns names types as SQLite does, and the collation of text only
// where it is another.
func postgresColumns(q query, into map[string]string) error {
	kinds := map[string]string{"bigint": "INTEGER", "text": "TEXT", "bytea": "BLOB"}
	return q.each(`SELECT c.table_name, c.column_name, c.data_type, COALESCE(c.collation_name, ''), c.is_nullable = 'NO', COALESCE(c.identity_generation, '')
		FROM information_schema.columns c WHERE c.table_schema = current_schema() AND c.table_name <> 'goose_db_version'`,
		nil, func(scan scanFunc) error {
			var table, column, kind, collation, identity string
			var required bool
			err := scan(&table, &column, &kind, &collation, &required, &identity)
			if slices.Contains(ofPostgres, table) {
				return err
			}
			if kind = kinds[kind]; kind == "TEXT" && collation != "C" {
				kind = "TEXT in the order " + collation
			}
			if identity != "" && identity != "ALWAYS" {
				kind += " " + identity
			}
			into["column "+table+"."+column] = columnText(kind, required, identity != "")
			return err
		})
}

func sqliteIndexes(q query, into map[string]string) error {
	return q.each(`SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL`, nil, func(scan scanFunc) error {
		var name, text string
		err := scan(&name, &text)
		into["index "+name] = indexText(text)
		return err
	})
}

func postgresIndexes(q query, into map[string]string) error {
	return q.each(`SELECT c.relname, pg_get_indexdef(i.indexrelid), t.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_class t ON t.oid = i.indrelid WHERE c.relnamespace = current_schema()::regnamespace
		AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u')) AND t.relname <> 'goose_db_version'`,
		nil, func(scan scanFunc) error {
			var name, text, table string
			err := scan(&name, &text, &table)
			if !slices.Contains(ofPostgres, table) {
				into["index "+name] = indexText(text)
			}
			return err
		})
}

// indexText leaves what both spell alike: whether it is unique, of what, and
// whether it has a condition, which Postgres writes in its own way.
func indexText(text string) string {
	unique := strings.Contains(text, "UNIQUE")
	head, _, partial := strings.Cut(strings.Join(strings.Fields(text), " "), " WHERE ")
	_, columns, _ := strings.Cut(head, "(")
	_, table, _ := strings.Cut(head, " ON ")
	table, _, _ = strings.Cut(strings.TrimPrefix(table, "public."), " ")
	return fmt.Sprintf("%s (%s unique %v partial %v", table, columns, unique, partial)
}

var _ runner = (*sql.DB)(nil)
