package meta

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// schemaColumn is a column as a database tells of it.
type schemaColumn struct {
	table, name string
	// key is its place in the primary key, 0 where it is not in it.
	key      int
	numbered bool
}

// checkCopied holds what is copied to a schema: a migration that adds a table or
// a column has to say what a copy does with it.
func checkCopied(t *testing.T, schema []schemaColumn) {
	t.Helper()
	want := map[string][]schemaColumn{}
	for _, c := range schema {
		if !slices.Contains(uncopied(), c.table) {
			want[c.table] = append(want[c.table], c)
		}
	}
	if len(want) < 20 {
		t.Fatalf("the schema has only %d tables", len(want))
	}
	for _, table := range copiedTables() {
		columns, found := want[table.name]
		if !found {
			t.Errorf("there is no table %s", table.name)
		}
		delete(want, table.name)
		var names []string
		key := make([]string, len(table.key))
		for _, c := range columns {
			names = append(names, c.name)
			if c.key > len(key) {
				t.Errorf("table %s: its key has %s too", table.name, c.name)
			} else if c.key > 0 {
				key[c.key-1] = c.name
			}
			if numbered := table.numbered && c.name == "id"; c.numbered != numbered {
				t.Errorf("%s.%s: numbered is %v, a copy takes it for %v", table.name, c.name, c.numbered, numbered)
			}
		}
		copied := slices.Sorted(slices.Values(table.columns))
		slices.Sort(names)
		if !slices.Equal(names, copied) {
			t.Errorf("table %s has the columns %v, copied are %v", table.name, names, copied)
		}
		if !slices.Equal(key, table.key) {
			t.Errorf("table %s has the key %v, a copy takes it for %v", table.name, key, table.key)
		}
	}
	for name := range want {
		t.Errorf("table %s is neither copied nor among those that are not", name)
	}
}

func TestCopiedIsTheSchemaOfSQLite(t *testing.T) {
	db := openLite(t, filepath.Join(t.TempDir(), "meta.db"))
	var schema []schemaColumn
	parents := map[string][]string{}
	if err := db.view(t.Context(), "read the schema", func(q query) error {
		err := q.each(`SELECT m.name, c.name, c.pk, m.sql LIKE '%' || c.name || ' %AUTOINCREMENT%' AND c.pk = 1
			FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '`+gooseTable+`'`,
			nil, func(scan scanFunc) error {
				var c schemaColumn
				err := scan(&c.table, &c.name, &c.key, &c.numbered)
				// Postgres numbers these too, SQLite without saying so.
				c.numbered = c.numbered || c.table == "outbox" && c.name == "id"
				schema = append(schema, c)
				return err
			})
		if err != nil {
			return err
		}
		return q.each(`SELECT m.name, f."table" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`, nil, func(scan scanFunc) error {
			var table, parent string
			err := scan(&table, &parent)
			parents[table] = append(parents[table], parent)
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	checkCopied(t, schema)
	var before []string
	for _, table := range copiedTables() {
		for _, parent := range parents[table.name] {
			if !slices.Contains(before, parent) {
				t.Errorf("table %s is copied before %s, to which it refers", table.name, parent)
			}
		}
		before = append(before, table.name)
	}
	if len(parents) < 5 {
		t.Errorf("only %d tables refer to others", len(parents))
	}
}

// openLite opens a database for the test.
func openLite(t *testing.T, path string) *DB {
	t.Helper()
	return opened(t, Config{Path: path, Moved: true})
}

// opened is a database that is open until the test ends.
func opened(t *testing.T, cfg Config) *DB {
	t.Helper()
	db, err := Open(t.Context(), cfg)
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

// A row is named by its key and nothing else.
func TestRowsAreNamedByTheirKeys(t *testing.T) {
	for _, table := range copiedTables() {
		row := make([]any, len(table.columns))
		for i := range row {
			row[i] = "secret"
			if i < len(table.key) {
				row[i] = int64(7)
			}
		}
		if got := table.keyText(row); strings.Contains(got, "secret") || !strings.HasPrefix(got, table.name+", "+table.key[0]+" 7") {
			t.Errorf("%q", got)
		}
	}
}
