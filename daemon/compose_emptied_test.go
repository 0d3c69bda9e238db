package daemon_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/compose"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// empties has a migration away from the store begin and wait, and gives its job.
func (w *world) empties() protocol.JobID {
	w.t.Helper()
	id, _, err := w.db.Enqueue(w.t.Context(), meta.NewJob{Kind: protocol.JobMigrate, Subject: meta.MigrationSubject("disk", "other")})
	must(w.t, err)
	w.runDue(w.t.Context(), job.Handler{Kind: protocol.JobMigrate, Do: func(ctx context.Context, _ *job.Run) error {
		if err := w.db.BeginMigration(ctx, "disk", "other"); err != nil {
			return err
		}
		return job.Snooze(365 * 24 * time.Hour)
	}})
	must(w.t, w.place.Load(w.t.Context()))
	return id
}

// composeWaits expects the compose job made last to wait for a migration, by
// which no attempt is used up beside so many.
func (w *world) composeWaits(attempts int) {
	w.t.Helper()
	j := w.composeJob()
	if j.State != protocol.JobReady || j.Attempts != attempts || j.Progress == nil || !strings.Contains(j.Progress.Note, "being emptied") {
		w.t.Fatalf("the compose job is %s (%s) after %d attempts at %+v, want one that waits after %d", j.State, j.Error, j.Attempts, j.Progress, attempts)
	}
}

// isWritten expects so many objects that a migration waits for.
func (w *world) isWritten(want int64) {
	w.t.Helper()
	n, err := w.db.WritingInStore(w.t.Context(), "disk")
	must(w.t, err)
	if n != want {
		w.t.Errorf("%d objects are being written, want %d", n, want)
	}
}

// TestComposeWaitsForMigration: nothing is joined in a store that is being
// emptied, also nothing that was begun before, and all of it once the migration
// was cancelled.
func TestComposeWaitsForMigration(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	data := parts(1)
	uid := w.put(ann, "x", data)
	j.death = death{at: 5} // it has begun, and written that down
	w.attempt(j)
	if !j.dead {
		t.Fatal("it was not killed")
	}
	j.death = death{}
	w.isWritten(1)
	migration := w.empties()
	for range 20 { // more than a job has attempts
		w.composes()
		w.composeWaits(1)
		w.clocks.pass(time.Hour)
	}
	w.isWritten(0)
	w.reads(ann, uid, data)

	_, err := w.db.CancelJob(t.Context(), meta.AnyOwner, migration)
	must(t, err)
	w.composes()
	w.composed(protocol.JobDone, "")
	w.extent(ann, uid)
	w.reads(ann, uid, data)
	w.clean(j, 1)
}

// lateMigration begins a migration before the object is named.
type lateMigration struct {
	*meta.DB
	begins func()
}

func (l lateMigration) AddJoinedBlob(ctx context.Context, b meta.NewBlob) (meta.BlobID, error) {
	l.begins()
	return l.DB.AddJoinedBlob(ctx, b)
}

// TestComposeMeetsMigration: one that begins when the job has looked for one, and
// before the object is named.
func TestComposeMeetsMigration(t *testing.T) {
	w, j := joiningWorld(t)
	defer w.end()
	uid := w.put(ann, "x", parts(1))
	w.compose = compose.New(w.composing(lateMigration{w.db, func() { w.empties() }}))
	w.composes()
	w.composeWaits(0)
	w.reads(ann, uid, parts(1))
	w.clean(j, 3)
}

// TestComposeAfterMigration: what was moved meanwhile is joined where it lies
// now, if that store joins.
func TestComposeAfterMigration(t *testing.T) {
	m := newMoving(t)
	m.moves("disk", "mem", "0 contents")
	data := noise(1, 3*protocol.BlockSize+5)
	uid := m.put(ann, "x", data)
	m.flipping = func() {
		m.composes()
		m.composeWaits(0)
	}
	m.moves("mem", "disk", "1 contents, 0 skipped, 0 damaged")
	m.flipping = nil
	m.clocks.pass(time.Hour)
	m.composes()
	m.composed(protocol.JobDone, "its store cannot join objects")
	m.world.reads(ann, uid, data)
	m.lies("disk", 2) // of two blocks each
	m.end()
}
