//go:build !postgres

package meta

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/osproxy/osproxy/protocol"
)

// firstSchema makes a database of the first schema with the rows of the
// statements, as an older ospd left it.
func firstSchema(t *testing.T, path string, statements ...string) {
	t.Helper()
	write, read, err := sqliteOpen(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := sqliteDialect().migrations()
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, write, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, text := range statements {
		if _, err := write.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(write.Close(), read.Close()); err != nil {
		t.Fatal(err)
	}
}

// A database of the first schema comes up with the quotas counted, its idle
// uploads found and its committed ones left alone.
func TestMigrateFromTheFirstSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	firstSchema(t, path,
		`INSERT INTO contents (id, size, state, created_at) VALUES (1, 5, 'live', 1), (2, 7, 'doomed', 1)`,
		`INSERT INTO files (uid, owner, name, state, created_at, content_id, etag, committed_at, deleted_at) VALUES
			(1, 'o', 'n', 'committed', 1, 1, '"e"', 1, NULL), (2, 'o', 'n', 'open', 1, NULL, NULL, NULL, NULL),
			(3, 'o', 'n', 'aborted', 1, NULL, NULL, NULL, NULL), (4, 'o', 'n', 'deleted', 1, NULL, NULL, NULL, 1)`,
		`INSERT INTO blobs (id, store, key, size, state, created_at) VALUES (1, 'disk', 'a', 5, 'live', 1)`,
		`INSERT INTO extents (content_id, seq, blob_id, blob_offset, length) VALUES (1, 0, 1, 0, 5)`,
		`INSERT INTO uploads (uid, size, part_size, touched_at) VALUES (1, 5, 1, 1), (2, 11, 1, 1)`)
	if err := openClosed(t, path, func(db *DB) {
		if got, err := db.Usage(t.Context(), "o"); got != (Usage{Bytes: 16, Files: 2, Uploads: 1}) || err != nil {
			t.Errorf("usage %+v, %v", got, err)
		}
		if n, err := db.AbandonUploads(t.Context(), time.Now(), 10); n != 1 || err != nil {
			t.Errorf("%d uploads were abandoned, %v", n, err)
		}
		if u, err := db.Upload(t.Context(), "o", 1); u.State != protocol.UploadCommitted || err != nil {
			t.Errorf("the committed upload is %q, %v", u.State, err)
		}
		if n, err := db.Prune(t.Context(), timeOf(1), 10); n != 3 || err != nil {
			t.Errorf("%d rows were pruned, %v", n, err)
		}
		if err := db.CheckDatabase(t.Context()); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// Who must keep the schema gets an older database not changed but refused, an
// empty one made, and one that is up to date as it is.
func TestKeepSchema(t *testing.T) {
	dir := t.TempDir()
	open := func(path string) error {
		db, err := Open(t.Context(), Config{Path: path, KeepSchema: true})
		if err == nil {
			err = db.Close()
		}
		return err
	}
	older := filepath.Join(dir, "older.db")
	firstSchema(t, older)
	for range 2 {
		if err := open(older); protocol.KindOf(err) != protocol.KindUnavailable || !strings.Contains(err.Error(), "start the new ospd first") {
			t.Fatalf("an older database: %v", err)
		}
	}
	if err := openClosed(t, older, nil); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{"migrated": older, "none": filepath.Join(dir, "none.db")} {
		if err := open(path); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Files of an older database are due for a digest job. What one block's record
// tells is told already.
func TestMigrateFindings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	firstSchema(t, path,
		`INSERT INTO contents (id, digest, size, state, created_at) VALUES (1, zeroblob(32), 5, 'live', 1), (2, zeroblob(32), 4194305, 'live', 1), (3, zeroblob(32), 0, 'live', 1)`,
		`INSERT INTO block_digests (content_id, seq, triples) VALUES (1, 0, unhex('`+strings.Repeat("07", 64)+`')), (2, 0, zeroblob(128))`,
		`INSERT INTO files (uid, owner, name, state, created_at, content_id, etag, committed_at) VALUES
			(1, 'o', 'n', 'committed', 1, 1, '"e"', 1), (2, 'o', 'n', 'committed', 1, 2, '"e"', 2), (3, 'o', 'n', 'committed', 1, 3, '"e"', 3)`,
		`INSERT INTO files (uid, owner, name, state, created_at) VALUES (4, 'o', 'n', 'open', 1)`)
	if err := openClosed(t, path, func(db *DB) {
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
