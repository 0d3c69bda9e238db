package meta

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// A migration goes on only once nobody is about to name an object who saw that it
// was cancelled.
func TestRetryWaitsForNaming(t *testing.T) {
	if err := openClosed(t, filepath.Join(t.TempDir(), "meta.db"), func(db *DB) { retryWaitsForNaming(t, db) }); err != nil {
		t.Fatal(err)
	}
}

func retryWaitsForNaming(t *testing.T, db *DB) {
	t.Helper()
	id, _, err := db.Enqueue(t.Context(), NewJob{Kind: protocol.JobMigrate, Subject: MigrationSubject("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.CancelJob(t.Context(), AnyOwner, id); err != nil {
		t.Fatal(err)
	}
	retried := make(chan error, 1)
	db.naming.RLock()
	go func() {
		_, err := db.RetryJob(t.Context(), AnyOwner, id)
		retried <- err
	}()
	for db.naming.TryRLock() { // as one can until somebody waits for it
		db.naming.RUnlock()
		select {
		case err := <-retried:
			t.Fatalf("it did not wait: %v", err)
		default:
			runtime.Gosched()
		}
	}
	j, err := db.Job(t.Context(), AnyOwner, id)
	db.naming.RUnlock()
	if err != nil || j.State != protocol.JobCancelled {
		t.Errorf("meanwhile it is %s, %v", j.State, err)
	}
	if err := <-retried; err != nil {
		t.Error(err)
	}
}
