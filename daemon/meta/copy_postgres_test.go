//go:build postgres

package meta_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// All of it is there, by another reader than the copy's; the installation goes
// on where it was, and from nowhere else.
func TestCopy(t *testing.T) {
	s := newSource(t)
	url := pgtest.Empty(t, t.Name())
	told := map[bool]map[string]int64{false: {}, true: {}}
	list, err := s.copy(url, func(c meta.CopiedTable, verified bool) { told[verified][c.Name] = c.Rows })
	if err != nil {
		t.Fatal(err)
	}
	s.same(url)
	s.isMoved(true)
	lite := s.raw()
	defer s.closeRaw(lite)
	rows := dump(t, lite, s.tables(lite))
	s.hasAll(lite)
	for _, c := range list {
		if n := int64(len(rows[c.Name])); c.Rows != n || told[false][c.Name] != n || told[true][c.Name] != n {
			t.Errorf("table %s: %d rows, told of %d and %d, there are %d", c.Name, c.Rows, told[false][c.Name], told[true][c.Name], n)
		}
		delete(rows, c.Name)
	}
	if len(rows) > 0 {
		t.Errorf("not told of: %v", rows)
	}
	before := s.open(true)
	defer s.close(before)
	after, err := meta.Open(t.Context(), meta.Config{URL: url, Clock: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}()
	s.goesOn(before, after, lite)
	if _, err := s.copy(url, nil); protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), "already") {
		t.Errorf("copied again: %v", err)
	}
	if _, err := s.copy(pgtest.Empty(t, t.Name()+" elsewhere"), nil); protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), "was moved") {
		t.Errorf("copied to a second: %v", err)
	}
}

// goesOn expects that after has what before has, and never gives an id twice.
func (s *source) goesOn(before, after *meta.DB, lite *sql.DB) {
	s.Helper()
	ctx := s.Context()
	if err := after.CheckDatabase(ctx); err != nil {
		s.Error(err)
	}
	was, err := before.ServerID(ctx)
	is, err2 := after.ServerID(ctx)
	if was != is || err != nil || err2 != nil {
		s.Errorf("server ids %q, %q: %v, %v", was, is, err, err2)
	}
	f, c, err := after.Content(ctx, s.first.Owner, s.first.UID)
	if err != nil || f.UID != s.first.UID || *f.Digest != *s.first.Digest || len(c.Extents) != 1 {
		s.Errorf("the first file: %+v, %+v, %v", f, c, err)
	}
	mark, err := after.ReserveUIDs(ctx, 0, 0)
	if mark != 90_000_000_000 || err != nil {
		s.Errorf("uids are reserved up to %d, %v", mark, err)
	}
	m, err := meta.NewMinter(after, 0, s.clock.Now)
	if err != nil {
		s.Fatal(err)
	}
	if uid, err := m.Next(ctx); err != nil || int64(uid)>>22 <= 90_000_000_000 {
		s.Errorf("uid %s, %v", uid, err)
	}
	if dir, err := after.ReserveDir(ctx, "disk"); dir != 3 || err != nil {
		s.Errorf("the next directory is %d, %v", dir, err)
	}
	var last int64
	if err := lite.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = 'blobs'`).Scan(&last); err != nil || last < 1000 {
		s.Fatal(last, err)
	}
	if id, err := after.AddBlob(ctx, meta.NewBlob{Store: "disk", Key: "k"}, 0); int64(id) != last+1 || err != nil {
		s.Errorf("the next blob is %d, want %d: %v", id, last+1, err)
	}
	if id, _, err := after.Enqueue(ctx, meta.NewJob{Kind: "new"}); int64(id) <= 1000 || err != nil {
		s.Errorf("the next job is %d: %v", id, err)
	}
	_, was2, err := before.EventState(ctx)
	n, _, err2 := after.NumberEvents(ctx)
	_, is2, err3 := after.EventState(ctx)
	if n == 0 || is2 != was2+n || cmp.Or(err, err2, err3) != nil {
		s.Errorf("events went from %d to %d by %d: %v, %v, %v", was2, is2, n, err, err2, err3)
	}
}

// A database with anything in it, or that is not ours, is left as it is.
func TestCopyRefuses(t *testing.T) {
	s := newSource(t)
	for name, c := range map[string]struct {
		// made says what is done to a database that ospd made; where it is not ospd
		// made none.
		made, raw []string
		words     string
	}{
		"one that is in use":         {made: []string{`INSERT INTO settings (name, value) VALUES ('server_id', 'x')`}, words: "its table settings has rows"},
		"one with a node":            {made: []string{`DELETE FROM settings`, `INSERT INTO nodes VALUES ('n', 0, '', '', 0, 0, 0)`}, words: "its table nodes has rows"},
		"one with a lane":            {made: []string{`DELETE FROM settings`, `INSERT INTO lanes (used_at) VALUES (0)`}, words: "its table lanes has rows"},
		"one with a file":            {made: []string{`DELETE FROM settings`, `DELETE FROM lanes`, `INSERT INTO files (uid, owner, name, state, created_at) VALUES (1, 'o', 'n', 'open', 0)`}, words: "its table files has rows"},
		"one that counted events":    {made: []string{`DELETE FROM settings`, `DELETE FROM lanes`, `UPDATE event_counter SET last = 1`}, words: "its table event_counter has rows"},
		"one of a newer ospd":        {made: []string{`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)`}, words: "schema version 99"},
		"one with another table":     {made: []string{`CREATE TABLE mine (id BIGINT)`}, words: `a table "mine"`},
		"another program's":          {raw: []string{`CREATE TABLE users (id BIGINT)`}, words: `a table "users"`},
		"another program's files":    {raw: []string{`CREATE TABLE files (id BIGINT)`}, words: `a table "files"`},
		"another program with goose": {raw: []string{`CREATE TABLE goose_db_version (id BIGINT)`, `CREATE TABLE users (id BIGINT)`}, words: `a table "users"`},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Empty(t, t.Name())
			if c.made != nil {
				url = pgtest.Database(t, t.Name()+" made")
			}
			pg := rawPostgres(t, url)
			defer func() { _ = pg.Close() }()
			for _, text := range append(c.made, c.raw...) {
				if _, err := pg.ExecContext(t.Context(), text); err != nil {
					t.Fatal(text, err)
				}
			}
			before := dump(t, pg, pgTables(t, pg))
			if _, err := s.copy(url, nil); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v", err)
			}
			if after := dump(t, pg, pgTables(t, pg)); !maps.EqualFunc(before, after, slices.Equal[[]string]) {
				t.Errorf("it had\n%v\nand has\n%v", before, after)
			}
			s.isMoved(false)
		})
	}
}

func pgTables(t *testing.T, pg *sql.DB) (names []string) {
	t.Helper()
	if err := pg.QueryRowContext(t.Context(), `SELECT COALESCE(array_agg(CAST(relname AS TEXT)), '{}') FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'`).Scan(&stringsOf{&names}); err != nil {
		t.Fatal(err)
	}
	return names
}

// stringsOf scans an array of names.
type stringsOf struct{ list *[]string }

func (s *stringsOf) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("%T", v)
	}
	if text = strings.Trim(text, "{}"); text != "" {
		*s.list = strings.Split(text, ",")
	}
	return nil
}

// An address is never repeated, nor is a database of another kind copied.
func TestCopyToWhatIsNone(t *testing.T) {
	s := newSource(t)
	for _, url := range []string{"mysql://u:hidden@h/d", "postgres://u:hidden@h:x/d", "postgres://u:hidden@127.0.0.1:1/d?connect_timeout=1", "hidden"} {
		db := s.open(false)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := db.CopyTo(ctx, meta.CopyConfig{URL: url})
		cancel()
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got %v", err)
		}
		s.close(db)
		s.isMoved(false)
	}
	url := pgtest.Database(t, t.Name())
	db, err := meta.Open(t.Context(), meta.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CopyTo(t.Context(), meta.CopyConfig{URL: pgtest.Empty(t, t.Name()+" to")}); protocol.KindOf(err) != protocol.KindBadRequest {
		t.Errorf("from Postgres: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
