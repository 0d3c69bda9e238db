package meta

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/osproxy/osproxy/protocol"
)

// A database of the first schema comes up with the quotas counted, its idle
// uploads found and its committed ones left alone.
func TestMigrateFromTheFirstSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
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
	for _, text := range []string{
		`INSERT INTO contents (id, size, state, created_at) VALUES (1, 5, 'live', 1), (2, 7, 'doomed', 1)`,
		`INSERT INTO files (uid, owner, name, state, created_at, content_id, etag, committed_at, deleted_at) VALUES
			(1, 'o', 'n', 'committed', 1, 1, '"e"', 1, NULL), (2, 'o', 'n', 'open', 1, NULL, NULL, NULL, NULL),
			(3, 'o', 'n', 'aborted', 1, NULL, NULL, NULL, NULL), (4, 'o', 'n', 'deleted', 1, NULL, NULL, NULL, 1)`,
		`INSERT INTO blobs (id, store, key, size, state, created_at) VALUES (1, 'disk', 'a', 5, 'live', 1)`,
		`INSERT INTO extents (content_id, seq, blob_id, blob_offset, length) VALUES (1, 0, 1, 0, 5)`,
		`INSERT INTO uploads (uid, size, part_size, touched_at) VALUES (1, 5, 1, 1), (2, 11, 1, 1)`,
	} {
		if _, err := write.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(write.Close(), read.Close()); err != nil {
		t.Fatal(err)
	}
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
