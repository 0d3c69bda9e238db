//go:build postgres

package meta

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// What one node remembers of a file is not what it answers once another node
// has changed the file, its content or where that lies.
func TestReadingsOfWhatOthersChange(t *testing.T) {
	a, b := node(t), node(t)
	read := func() (name, key, state string, kind protocol.Kind) {
		f, c, err := b.Content(t.Context(), "o", 1)
		if err != nil {
			return "", "", "", protocol.KindOf(err)
		}
		return f.Name, c.Extents[0].Key, c.State, ""
	}
	is := func(after, name, key, state string, kind protocol.Kind) {
		t.Helper()
		gotName, gotKey, gotState, gotKind := read()
		if gotName != name || gotKey != key || gotState != state || gotKind != kind {
			t.Errorf("after %s: %q in %q, %s, %q", after, gotName, gotKey, gotState, gotKind)
		}
	}
	putRead(t, a)
	is("the put", "n", "k", ContentLive, "")
	is("a read", "n", "k", ContentLive, "")
	other := "other"
	if _, err := a.PatchFile(t.Context(), "o", 1, FilePatch{Name: &other}); err != nil {
		t.Fatal(err)
	}
	is("a new name", "other", "k", ContentLive, "")
	_, c, err := a.Content(t.Context(), "o", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.MarkDamaged(t.Context(), c.ID, c.Gen); err != nil {
		t.Fatal(err)
	}
	is("damage", "other", "k", ContentDamaged, "")
	if _, err := a.PutFile(t.Context(), NewFile{FileFields: FileFields{Owner: "o", Name: "n"}, UID: 2, CommittedAt: time.Now(), Size: 5,
		Digest: protocol.Digest{1}, ETag: `"e"`, Blocks: make([]protocol.Block, 1), Blob: &NewBlob{Store: "disk", Key: "l", Size: 5}}, nil); err != nil {
		t.Fatal(err)
	}
	is("the same bytes elsewhere", "other", "l", ContentLive, "")
	past := time.Now().Add(-time.Second)
	expires := &past
	if _, err := a.PatchFile(t.Context(), "o", 1, FilePatch{ExpiresAt: &expires}); err != nil {
		t.Fatal(err)
	}
	is("its time", "", "", "", protocol.KindNotFound)
	if err := a.DeleteFile(t.Context(), "o", 2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Content(t.Context(), "o", 2); protocol.KindOf(err) != protocol.KindNotFound {
		t.Errorf("a deleted file: %v", err)
	}
}

// TestReadsEndWithTheTimeOfWhoAsks: who gives the list of nodes a second does not wait
// for a silent database as long as a write does. That a caller went away ends none: the
// connection would go with it.
func TestReadsEndWithTheTimeOfWhoAsks(t *testing.T) {
	// Nothing but its context ends a read here, however slow the machine is.
	const long = "&statement_timeout=10min&lock_timeout=10min&idle_in_transaction_session_timeout=10min"
	db := opened(t, Config{URL: pgtest.Database(t, t.Name()) + long, Logger: slog.New(slog.DiscardHandler)})
	e := db.engine.(*pgEngine)
	e.patience = 10 * time.Minute
	tx, err := e.pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	read := make(chan error, 1)
	go func() {
		_, err := db.Nodes(ctx)
		read <- err
	}()
	for waits := 0; waits == 0; {
		if err := tx.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'nodes'::regclass`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.Nodes(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Errorf("the read of one that went away: %v", err)
	}
}
