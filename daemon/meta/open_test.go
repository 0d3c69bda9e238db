//go:build !postgres

package meta

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?#%20&.db")
	var ids [2]string
	for i := range ids {
		if err := openClosed(t, path, func(db *DB) {
			var err error
			if ids[i], err = db.ServerID(t.Context()); err != nil {
				t.Fatal(err)
			}
			if known, err := db.StoreKnown(t.Context(), "disk"); err != nil || known != (i == 1) {
				t.Errorf("store known: %v, %v", known, err)
			}
			if err := db.RememberStore(t.Context(), "disk"); err != nil {
				t.Fatal(err)
			}
			applied := 0
			if err := writerOf(db).conn.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM goose_db_version WHERE version_id = 1`).Scan(&applied); err != nil || applied != 1 {
				t.Errorf("the first migration ran %d times, %v", applied, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] != ids[1] {
		t.Errorf("the server id changed from %s to %s", ids[0], ids[1])
	}
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := openClosed(t, path, func(*DB) {
		for _, end := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + end)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("meta.db%s has mode %o", end, info.Mode().Perm())
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	if err := openClosed(t, path, nil); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	err = openClosed(t, path, nil)
	if protocol.KindOf(err) != protocol.KindInternal || !strings.Contains(err.Error(), "schema version 99999") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"text":             write("text", strings.Repeat("this is no database\n", 1000)),
		"header only":      write("header", "SQLite format 3\x00"+strings.Repeat("\x01", 5000)),
		"a folder":         dir,
		"in a missing one": filepath.Join(dir, "missing", "meta.db"),
	} {
		err := openClosed(t, path, nil)
		if protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if e, ok := errors.AsType[*protocol.Error](err); !ok || e.Message == "" || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not say which file: %v", name, err)
		}
	}
}

// Pages of the middle are overwritten: the check and the verbs say so, and no
// write follows.
func TestDamagedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	if err := openClosed(t, path, func(db *DB) {
		for i := range 300 {
			if err := db.SaveAnswer(t.Context(), "o", Idempotency{Key: strings.Repeat("k", 100+i), Answer: make([]byte, 2000)}); err != nil {
				t.Fatal(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	half := info.Size() / 2
	if _, err := f.WriteAt([]byte(strings.Repeat("\xa5", int(half))), half); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openClosed(t, path, func(db *DB) {
		if err := db.CheckDatabase(t.Context()); protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("check: got %v", err)
		}
		err := db.update(t.Context(), full, "rewrite", func(x *tx) error {
			_, err := x.exec(`UPDATE idempotency SET answer = x'00'`)
			return err
		})
		if protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("write: got %v", err)
		}
		if err := db.RememberStore(t.Context(), "disk"); protocol.KindOf(err) != protocol.KindInternal {
			t.Errorf("a write after damage was seen: got %v", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// A row whose reference is missing is damage too.
func TestMissingReferenceIsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	if err := openClosed(t, path, nil); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO sweep_candidates (blob_id, offered_at) VALUES (7, 0)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openClosed(t, path, func(db *DB) {
		if err := db.CheckDatabase(context.Background()); err == nil || !strings.Contains(err.Error(), "sweep_candidates") {
			t.Errorf("got %v", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
