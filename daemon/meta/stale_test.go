package meta

import (
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// committedUploads makes rows of uploads that were committed, with the open
// column as given, touched one after the other from the time at.
func committedUploads(t *testing.T, db *DB, from, count protocol.UID, open int, at int64) {
	t.Helper()
	if err := db.update(t.Context(), full, "make committed uploads", func(x *tx) error {
		var content ContentID
		if _, err := x.one(`INSERT INTO contents (size, state, created_at) VALUES (0, 'live', 1) RETURNING id`, nil, &content); err != nil {
			return err
		}
		for uid := from; uid < from+count; uid++ {
			if _, err := x.exec(`INSERT INTO files (uid, owner, name, state, created_at, content_id, etag, committed_at) VALUES (?, 'o', 'n', 'committed', 1, ?, '"e"', 1)`, int64(uid), content); err != nil {
				return err
			}
			if _, err := x.exec(`INSERT INTO uploads (uid, size, part_size, touched_at, open) VALUES (?, 0, 1, ?, ?)`, int64(uid), at+int64(uid), open); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// An ospd of the first schema that went on while the database was migrated
// committed uploads without saying that they are no longer open. However many
// these are, uploads that are idle are abandoned.
func TestCommittedRowsDoNotKeepIdleUploads(t *testing.T) {
	const limit = 4
	if err := openClosed(t, filepath.Join(t.TempDir(), "meta.db"), func(db *DB) {
		committedUploads(t, db, 1, 2*limit, 1, 0)
		for uid := protocol.UID(100); uid < 100+limit+1; uid++ {
			if _, err := db.BeginUpload(t.Context(), NewUpload{FileFields: FileFields{Owner: "o", Name: "n"}, UID: uid, PartSize: 1, CreatedAt: time.Now()}, nil); err != nil {
				t.Fatal(err)
			}
		}
		before := time.Now().Add(time.Hour)
		for _, want := range []int{limit, 1, 0} {
			if n, err := db.AbandonUploads(t.Context(), before, limit); n != want || err != nil {
				t.Errorf("%d were abandoned, %v; want %d", n, err, want)
			}
		}
		var left int
		if err := db.view(t.Context(), "count", func(q query) error {
			_, err := q.one(`SELECT COUNT(*) FROM uploads WHERE open = 1`, nil, &left)
			return err
		}); left != 0 || err != nil {
			t.Errorf("%d rows still say that they are open, %v", left, err)
		}
		if u, err := db.Upload(t.Context(), "o", 1); u.State != protocol.UploadCommitted || err != nil {
			t.Errorf("the committed upload is %q, %v", u.State, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// What is read to find the parts of open uploads does not grow with the
// uploads that were committed.
func TestOpenPartsWithoutCommittedUploads(t *testing.T) {
	var asked atomic.Int64 // each transaction asks for the time
	db, err := Open(t.Context(), located(t, Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { asked.Add(1); return time.Now() }}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	committedUploads(t, db, 1, 20, 0, 0)
	asked.Store(0)
	if err := db.EachOpenPart(t.Context(), func(uid protocol.UID, _ Part) error {
		t.Errorf("upload %d is not open", uid)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it took %d transactions", n)
	}
}
