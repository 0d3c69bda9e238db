//go:build postgres

package meta

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

func TestCopiedIsTheSchemaOfPostgres(t *testing.T) {
	address, err := parseAddress(pgtest.Database(t, t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	pool := stdlib.OpenDB(*address.config)
	defer func() { _ = pool.Close() }()
	var schema []schemaColumn
	if err := (query{ctx: t.Context(), run: pool}).each(`SELECT c.relname, a.attname, a.attidentity <> '',
			COALESCE(array_position(CAST(i.indkey AS SMALLINT[]), a.attnum) - array_lower(CAST(i.indkey AS SMALLINT[]), 1) + 1, 0)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> '`+gooseTable+`'`, nil, func(scan scanFunc) error {
		var c schemaColumn
		err := scan(&c.table, &c.name, &c.numbered, &c.key)
		schema = append(schema, c)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	checkCopied(t, schema)
}

// What an older ospd works on, or may, keeps its schema. One that only a copy was
// to fill is brought up to date.
func TestCopyToAnOlderSchema(t *testing.T) {
	for name, c := range map[string]struct {
		mark    []string
		refused bool
	}{
		"with nothing in it":    {nil, true},
		"a copy that was done":  {[]string{`INSERT INTO settings (name, value) VALUES ('copy', 'done ab')`}, true},
		"a copy that was not":   {[]string{`INSERT INTO settings (name, value) VALUES ('copy', 'unfinished ab')`}, false},
		"with its installation": {[]string{`INSERT INTO settings (name, value) VALUES ('server_id', 'ab')`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			pool := firstPostgres(t, t.Name(), c.mark...)
			before := rowsOf(t, pool)
			target, err := newCopyTarget(pgtest.Empty(t, t.Name()), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			err = target.prepare(t.Context(), nil)
			if !c.refused {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "schema version 3") || !strings.Contains(err.Error(), "copy to that") {
				t.Errorf("got %v", err)
			}
			if after := rowsOf(t, pool); after != before {
				t.Errorf("it holds\n%s\nbefore it held\n%s", after, before)
			}
		})
	}
}

// Of two copies that both find the database empty the one that marked it last
// goes on, and the other changes nothing.
func TestOvertakenCopy(t *testing.T) {
	url := pgtest.Empty(t, t.Name())
	var both [2]*copyTarget
	for i := range both {
		var err error
		if both[i], err = newCopyTarget(url, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if err := both[i].prepare(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := both[0].begin(t.Context()); protocol.KindOf(err) != protocol.KindConflict {
		t.Errorf("the first: %v", err)
	}
	if err := both[1].begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	both[1].close()
}

// Numbers that were left out before a database was copied are no lost events to
// the copy either.
func TestEventGapOnPostgres(t *testing.T) {
	db, err := Open(t.Context(), Config{URL: pgtest.Database(t, t.Name())})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.RegisterConsumer(t.Context(), "reads"); err != nil {
		t.Fatal(err)
	}
	if err := db.update(t.Context(), full, "leave out", func(x *tx) error { return x.leaveOutEvents(5) }); err != nil {
		t.Fatal(err)
	}
	happens(t, db)
	b, err := db.TakeEvents(t.Context(), "reads", "me", time.Minute, 9)
	if err != nil || len(b.Events) != 1 || b.Events[0].Number != 6 || b.Lost != 0 {
		t.Errorf("taken is %+v, %v", b, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
