//go:build postgres

package meta

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// poolOf runs what no verb does on the test's database of the name.
func poolOf(t *testing.T, url string) *sql.DB {
	t.Helper()
	address, err := parseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	pool := stdlib.OpenDB(*address.config)
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return pool
}

// firstPostgres makes a database of the first schema there was on Postgres,
// with the rows of the statements, as an older ospd left it.
func firstPostgres(t *testing.T, name string, statements ...string) *sql.DB {
	t.Helper()
	pool := poolOf(t, pgtest.Empty(t, name))
	files, err := pgDialect().migrations()
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, pool, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	for _, text := range statements {
		if _, err := pool.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

// rowsOf is every row of every table.
func rowsOf(t *testing.T, pool *sql.DB) string {
	t.Helper()
	q := query{ctx: t.Context(), run: pool}
	var names []string
	if err := q.each(pgTables, nil, func(scan scanFunc) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		var rows string
		if _, err := q.one(`SELECT COALESCE(string_agg(CAST(x AS TEXT), E'\n' ORDER BY CAST(x AS TEXT)), '') FROM `+name+` x`, nil, &rows); err != nil {
			t.Fatal(err)
		}
		all.WriteString(name + ":\n" + rows + "\n")
	}
	return all.String()
}

// What a newer ospd has changed an older one does not touch.
func TestNewerPostgresIsRefused(t *testing.T) {
	if err := openClosed(t, t.Name(), nil); err != nil {
		t.Fatal(err)
	}
	pool := poolOf(t, located(t, Config{Path: t.Name()}).URL)
	if _, err := pool.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
		t.Fatal(err)
	}
	before := rowsOf(t, pool)
	for _, keep := range []bool{false, true} {
		_, err := Open(t.Context(), located(t, Config{Path: t.Name(), KeepSchema: keep}))
		if protocol.KindOf(err) != protocol.KindInternal || !strings.Contains(err.Error(), "schema version 99999") {
			t.Errorf("got %v", err)
		}
	}
	if after := rowsOf(t, pool); after != before {
		t.Errorf("it holds\n%s\nbefore it held\n%s", after, before)
	}
}

// Who must keep the schema gets an older database not changed but refused, an
// empty one made, and one that is up to date as it is.
func TestKeepSchemaOfPostgres(t *testing.T) {
	open := func(name string) error {
		db, err := Open(t.Context(), located(t, Config{Path: name, KeepSchema: true}))
		if err == nil {
			err = db.Close()
		}
		return err
	}
	older, none := t.Name()+"/older", t.Name()+"/none"
	pool := firstPostgres(t, older)
	before := rowsOf(t, pool)
	for range 2 {
		if err := open(older); protocol.KindOf(err) != protocol.KindUnavailable || !strings.Contains(err.Error(), "start the new ospd first") {
			t.Fatalf("an older database: %v", err)
		}
	}
	if after := rowsOf(t, pool); after != before {
		t.Errorf("it holds\n%s\nbefore it held\n%s", after, before)
	}
	pgtest.Empty(t, none)
	if err := errors.Join(openClosed(t, older, nil), open(older), open(none)); err != nil {
		t.Error(err)
	}
}

// Files of an older database are due for a digest job. What one block's record
// tells is told already.
func TestMigrateFindingsOnPostgres(t *testing.T) {
	const zero = `decode(repeat('00', 32), 'hex')`
	firstPostgres(t, t.Name(),
		`INSERT INTO contents (id, digest, size, state, created_at) OVERRIDING SYSTEM VALUE VALUES
			(1, `+zero+`, 5, 'live', 1), (2, `+zero+`, 4194305, 'live', 1), (3, `+zero+`, 0, 'live', 1)`,
		`INSERT INTO block_digests (content_id, seq, triples) VALUES (1, 0, decode(repeat('07', 64), 'hex')), (2, 0, decode(repeat('00', 128), 'hex'))`,
		`INSERT INTO files (uid, owner, name, state, created_at, content_id, etag, committed_at) VALUES
			(1, 'o', 'n', 'committed', 1, 1, '"e"', 1), (2, 'o', 'n', 'committed', 1, 2, '"e"', 2), (3, 'o', 'n', 'committed', 1, 3, '"e"', 3)`,
		`INSERT INTO files (uid, owner, name, state, created_at) VALUES (4, 'o', 'n', 'open', 1)`)
	if err := openClosed(t, t.Name(), func(db *DB) {
		due, err := db.DueDigests(t.Context(), 10)
		if len(due) != 3 || due[0].UID != 1 || due[0].SumsKnown || due[1].SumsKnown || !due[2].SumsKnown || err != nil {
			t.Errorf("due are %+v, %v", due, err)
		}
		for uid, want := range map[protocol.UID]string{1: strings.Repeat("07", 32), 2: "none", 3: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"} {
			f, err := db.File(t.Context(), "o", uid)
			got := "none"
			if f.SHA256 != nil {
				got = *f.SHA256
			}
			if got != want || f.MD5 != nil || err != nil {
				t.Errorf("the SHA-256 of %d is %s, its MD5 %v, %v", uid, got, f.MD5, err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}
