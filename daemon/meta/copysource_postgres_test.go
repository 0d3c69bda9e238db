//go:build postgres

package meta_test

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// source is a SQLite database with something of everything.
type source struct {
	*testing.T
	path  string
	clock *metatest.Clock
	first protocol.File
}

func newSource(t *testing.T) *source {
	t.Helper()
	s := &source{T: t, path: filepath.Join(t.TempDir(), "meta.db"), clock: metatest.NewClock()}
	db := s.open(false)
	s.first = metatest.Furnish(t, db, s.clock)
	s.close(db)
	s.behind(
		`INSERT INTO link_keys (secret, created_at, retired_at) VALUES (x'00ff', 1, NULL), (x'', -9223372036854775808, 9223372036854775807)`,
		`INSERT INTO link_revocations (owner, uid, number, revoked_at) VALUES ('', 9223372036854775807, 9223372036854775807, -1)`,
		`INSERT INTO attempts (subject, slot, begun_at, failed) VALUES ('', 9223372036854775807, -1, 1), ('s', 1, 1, 0)`,
		`INSERT INTO link_uses (uid, used_at) VALUES (9223372036854775807, -1)`,
		// What the verbs leave NULL, and the ends of what a column holds.
		`UPDATE contents SET width = 9223372036854775807, height = 0, verified_at = -1 WHERE id = 1`,
		`UPDATE blobs SET node = 'n', owner_lease = 5, overlong = 1 WHERE id = 1`,
		`UPDATE uploads SET abandoned_at = 7, node = 'n' WHERE uid = (SELECT MIN(uid) FROM uploads)`,
		`UPDATE webhooks SET error = '', everything = 1, delivered_at = 3, failed_at = 4 WHERE id = 1`,
		`UPDATE outbox SET media_type = 'text/plain', detail = '{}', content_id = 1, after_owner = '', after_uid = 0 WHERE id = (SELECT MIN(id) FROM outbox)`,
		// Ids that were given and are not there any more.
		`UPDATE sqlite_sequence SET seq = seq + 1000`,
		`INSERT INTO nodes (name, worker, address, boot_id, lease_until, started_at) VALUES ('gone', 0, '', '', 0, 0)`,
		`INSERT INTO node_stores (node, store, type, bucket, place, fence) VALUES ('gone', 'disk', 'local', '', '/d', 0)`,
	)
	return s
}

func (s *source) open(moved bool) *meta.DB {
	s.Helper()
	db, err := meta.Open(s.Context(), meta.Config{Path: s.path, Clock: s.clock.Now, Moved: moved})
	if err != nil {
		s.Fatal(err)
	}
	return db
}

func (s *source) close(db *meta.DB) {
	s.Helper()
	if err := db.Close(); err != nil {
		s.Error(err)
	}
}

// raw is the database without a DB.
func (s *source) raw() *sql.DB {
	s.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path)
	if err != nil {
		s.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// behind runs statements that no verb does.
func (s *source) behind(texts ...string) {
	s.Helper()
	db := s.raw()
	for _, text := range texts {
		if _, err := db.ExecContext(s.Context(), text); err != nil {
			s.Fatal(text, err)
		}
	}
	s.closeRaw(db)
}

func (s *source) closeRaw(db *sql.DB) {
	s.Helper()
	if err := db.Close(); err != nil {
		s.Error(err)
	}
}

// copy copies, as one process does.
func (s *source) copy(url string, progress func(meta.CopiedTable, bool)) ([]meta.CopiedTable, error) {
	s.Helper()
	db := s.open(true)
	defer s.close(db)
	return db.CopyTo(s.Context(), meta.CopyConfig{URL: url, Progress: progress})
}

// isMoved expects that the source opens, or that it does not since it was
// moved.
func (s *source) isMoved(want bool) {
	s.Helper()
	db, err := meta.Open(s.Context(), meta.Config{Path: s.path})
	if err == nil {
		s.close(db)
	}
	if moved := protocol.KindOf(err) == protocol.KindConflict; moved != want || !want && err != nil {
		s.Errorf("the source: moved is %v, want %v: %v", moved, want, err)
	}
}

// tables are those of the source that a copy has.
func (s *source) tables(db *sql.DB) (names []string) {
	s.Helper()
	rows, err := db.QueryContext(s.Context(), `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%' AND name NOT IN ('nodes', 'node_stores')`)
	if err != nil {
		s.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			s.Fatal(err)
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(names) < 20 {
		s.Fatal(names, err)
	}
	return names
}

// dump is all that is in tables, as text, but for the marks.
func dump(t *testing.T, db *sql.DB, tables []string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range tables {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, dest := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				dest[i] = &values[i]
			}
			if err := rows.Scan(dest...); err != nil {
				t.Fatal(err)
			}
			line := lineOf(columns, values)
			if table != "settings" || !strings.Contains(line, `name string "moved"`) && !strings.Contains(line, `name string "copy"`) {
				all[table] = append(all[table], line)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all[table])
	}
	return all
}

func lineOf(columns []string, values []any) string {
	words := map[string]string{}
	for i, v := range values {
		switch v := v.(type) {
		case string:
			words[columns[i]] = fmt.Sprintf("%s string %q", columns[i], v)
		case []byte:
			words[columns[i]] = fmt.Sprintf("%s bytes %x", columns[i], v)
		default:
			words[columns[i]] = fmt.Sprintf("%s %T %v", columns[i], v, v)
		}
	}
	var line []string
	for _, name := range slices.Sorted(maps.Keys(words)) {
		line = append(line, words[name])
	}
	return strings.Join(line, ", ")
}

func rawPostgres(t *testing.T, url string) *sql.DB {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return stdlib.OpenDB(*cfg)
}

// hasAll expects something in each column, without which a test shows nothing of
// it.
func (s *source) hasAll(lite *sql.DB) {
	s.Helper()
	for _, table := range s.tables(lite) {
		rows, err := lite.QueryContext(s.Context(), `SELECT name FROM pragma_table_info(?)`, table)
		if err != nil {
			s.Fatal(err)
		}
		var columns []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				s.Fatal(err)
			}
			columns = append(columns, name)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			s.Fatal(err)
		}
		for _, name := range columns {
			var n int
			if err := lite.QueryRowContext(s.Context(), `SELECT COUNT(`+name+`) FROM `+table).Scan(&n); n == 0 || err != nil {
				s.Errorf("the source has nothing in %s.%s: %v", table, name, err)
			}
		}
	}
}

// same expects that the copy has what the source has.
func (s *source) same(url string) {
	s.Helper()
	lite, pg := s.raw(), rawPostgres(s.T, url)
	tables := s.tables(lite)
	want, got := dump(s.T, lite, tables), dump(s.T, pg, tables)
	s.closeRaw(lite)
	s.closeRaw(pg)
	for _, table := range tables {
		if !slices.Equal(want[table], got[table]) {
			s.Errorf("table %s differs:\n%s\n----\n%s", table, strings.Join(want[table], "\n"), strings.Join(got[table], "\n"))
		}
	}
}
