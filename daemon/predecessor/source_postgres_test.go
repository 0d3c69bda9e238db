//go:build postgres

package predecessor

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
)

// tables are what is read of osproxy's.
const tables = `
CREATE TABLE meta_data_info (id bigserial PRIMARY KEY, uid bigint, bucket text, name text, storage_name text, md5 text, storage_size bigint,
	multi_part boolean, part_num bigint, status bigint, content_type text, created_at timestamptz);
CREATE TABLE multi_part_info (id bigserial PRIMARY KEY, storage_uid bigint, chunk_num bigint, bucket text, storage_name text, storage_size bigint, status bigint)`

// source is osproxy's database with what the statements put there.
func source(t *testing.T, statements ...string) *Source {
	t.Helper()
	server, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := pgtest.Create(t.Context(), server.Dir(), "osproxy", "template0"); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), server.URL("osproxy"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append([]string{tables}, statements...) {
		if _, err := db.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	src, err := Open(t.Context(), server.URL("osproxy"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// files are rows from uid first to last, each of which is of so many parts.
func files(first, last, parts string) []string {
	return []string{
		`INSERT INTO meta_data_info (uid, bucket, name, storage_name, md5, storage_size, multi_part, part_num, status)
			SELECT uid, 'archive', 'a.zip', uid || '.zip', 'none', ` + parts + `, ` + parts + ` > 0, ` + parts + `, 1 FROM generate_series(` + first + `, ` + last + `) uid`,
		`INSERT INTO multi_part_info (storage_uid, chunk_num, bucket, storage_name, storage_size, status)
			SELECT uid, n, 'archive', uid || '_' || n, 1, 1 FROM generate_series(` + first + `, ` + last + `) uid, generate_series(1, ` + parts + `) n`,
	}
}

// TestPostgresPages: a page ends with the row that reaches the bound of parts, or
// of rows; no row is lost between two, and at the end there is none.
func TestPostgresPages(t *testing.T) {
	src := source(t, append(append(files("1", "10", "1500"), files("11", "12", "10000")...), files("13", "700", "0")...)...)
	type shape struct{ rows, parts int }
	var pages []shape
	uid := int64(0)
	for {
		rows, err := src.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		at := shape{rows: len(rows)}
		for _, r := range rows {
			if uid++; r.uid != uid {
				t.Fatalf("uid %d comes where %d should", r.uid, uid)
			}
			at.parts += len(r.parts)
		}
		pages = append(pages, at)
	}
	want := []shape{{3, 4500}, {3, 4500}, {3, 4500}, {2, 11500}, {1, 10000}, {256, 0}, {256, 0}, {176, 0}}
	if len(pages) != len(want) || uid != 700 {
		t.Fatalf("%d uids on pages %v", uid, pages)
	}
	for i := range want {
		if pages[i] != want[i] {
			t.Errorf("page %d: %+v, want %+v", i, pages[i], want[i])
		}
	}
	if rows, err := src.next(t.Context()); err != nil || len(rows) > 0 {
		t.Errorf("after the end: %d rows, %v", len(rows), err)
	}
}

// TestPostgresLeftEarly: a source can be closed within what it was about to read,
// and its error says what became of a read that was cancelled.
func TestPostgresLeftEarly(t *testing.T) {
	src := source(t, files("1", "20", "3000")...)
	ctx, cancel := context.WithCancel(t.Context())
	if rows, err := src.next(ctx); err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	cancel()
	if rows, err := src.next(ctx); err == nil && len(rows) == 0 {
		t.Errorf("a read that was cancelled seems to be the end of all rows")
	}
}
