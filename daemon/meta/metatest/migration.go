package metatest

import (
	"errors"
	"strings"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var migrationTests = map[string]func(*env){
	"the one that began first goes on": func(e *env) {
		old, young := e.migration("a", "b"), e.migration("b", "a")
		e.ok(e.beginMigration(young, "b", "a"))
		e.closedIs(map[string]string{"b": "a"})
		e.goesFirst(e.beginMigration(old, "a", "b"), young)
		e.closedIs(map[string]string{"b": "a"})
		e.migratesIs(old, "a", "b", false)
		e.migratesIs(young, "b", "a", true)
		e.ok(e.beginMigration(young, "b", "a"))
		e.end(young, meta.ResultSnoozed)
		e.goesFirst(e.beginMigration(old, "a", "b"), young)
		other := e.migration("a", "c")
		e.goesFirst(e.beginMigration(other, "a", "c"), young)
		apart := e.migration("c", "d")
		e.ok(e.beginMigration(apart, "c", "d"))
		_, err := e.db.CancelJob(e.ctx, meta.AnyOwner, young.ID)
		e.ok(err)
		e.ok(e.beginMigration(old, "a", "b"))
		e.closedIs(map[string]string{"a": "b", "c": "d"})
	},
	"several fill one store, and nobody empties it meanwhile": func(e *env) {
		one, two := e.migration("a", "z"), e.migration("b", "z")
		e.ok(e.beginMigration(one, "a", "z"))
		e.ok(e.beginMigration(two, "b", "z"))
		e.closedIs(map[string]string{"a": "z", "b": "z"})
		e.migratesIs(one, "a", "z", true)
		e.migratesIs(two, "b", "z", true)
		back := e.migration("z", "b")
		e.goesFirst(e.beginMigration(back, "z", "b"), one)
		_, err := e.db.CancelJob(e.ctx, meta.AnyOwner, two.ID)
		e.ok(err)
		e.end(two, meta.ResultHopeless)
		e.goesFirst(e.beginMigration(back, "z", "b"), one)
		e.end(one, meta.ResultDone)
		e.ok(e.beginMigration(back, "z", "b"))
		e.closedIs(map[string]string{"a": "b", "z": "b"})
	},
	"one is the one while its source is closed for its target": func(e *env) {
		j := e.migration("a", "b")
		e.migratesIs(j, "a", "b", false)
		e.ok(e.beginMigration(j, "a", "b"))
		for _, c := range [][2]string{{"a", "c"}, {"b", "a"}, {"b", "c"}} {
			e.migratesIs(j, "a", "b", true)
			e.ok(e.db.CloseStore(e.ctx, c[0], c[1]))
			e.migratesIs(j, "a", "b", false)
			e.ok(e.beginMigration(j, "a", "b"))
		}
	},
	"objects are joined in a closed store while nobody empties it": func(e *env) {
		job, _ := e.mover()
		joined := func(empties bool) {
			e.Helper()
			yes, err := e.db.Emptying(e.ctx, "disk")
			e.ok(err)
			e.same("it is being emptied", yes, empties)
			id, err := e.db.AddJoinedBlob(job, e.newBlob(5))
			if empties {
				if !errors.Is(err, meta.ErrStoreClosed) {
					e.Errorf("joined in a store that is being emptied: %v", err)
				}
				return
			}
			e.ok(err)
			e.blobState(id, meta.BlobWriting)
			e.ok(e.db.DropBlob(e.ctx, id))
		}
		joined(false)
		j := e.migration("disk", "other")
		joined(false)
		e.ok(e.beginMigration(j, "disk", "other"))
		joined(true)
		e.end(j, meta.ResultSnoozed)
		joined(true)
		_, err := e.db.CancelJob(e.ctx, meta.AnyOwner, j.ID)
		e.ok(err)
		e.closedIs(map[string]string{"disk": "other"})
		joined(false)
		if _, err := e.db.AddJobBlob(job, e.newBlob(5)); !errors.Is(err, meta.ErrStoreClosed) {
			e.Errorf("a blob that is not joined, in a closed store: %v", err)
		}
		_, err = e.db.RetryJob(e.ctx, meta.AnyOwner, j.ID)
		e.ok(err)
		joined(true)
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, j.ID)
		e.ok(err)
		back := e.migration("other", "disk")
		e.ok(e.beginMigration(back, "other", "disk"))
		joined(false)
	},
	"none is joined but in the name of a job": func(e *env) {
		_, err := e.db.AddJoinedBlob(e.ctx, e.newBlob(5))
		e.kind(err, protocol.KindInternal)
		e.same("blobs", e.blobCount(), 0)
	},
	"none is tried again beside another": func(e *env) {
		old, apart := e.migration("a", "b"), e.migration("x", "y")
		e.end(old, meta.ResultHopeless)
		retry := func() error {
			_, err := e.db.RetryJob(e.ctx, meta.AnyOwner, old.ID)
			return err
		}
		for _, stores := range [][2]string{{"b", "a"}, {"a", "b"}, {"c", "a"}, {"b", "c"}} {
			j := e.migration(stores[0], stores[1])
			err := retry()
			e.goesFirst(err, j)
			if !strings.Contains(err.Error(), "runs") {
				e.Errorf("it says %v", err)
			}
			e.end(j, meta.ResultSnoozed)
			e.goesFirst(retry(), j)
			_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, j.ID)
			e.ok(err)
		}
		e.ok(retry())
		e.jobIs(apart.ID, protocol.JobRunning, 1)
	},
}

// migration is a job that runs.
func (e *env) migration(from, to string) meta.LeasedJob {
	e.Helper()
	id := e.enqueue(meta.NewJob{Kind: protocol.JobMigrate, Subject: meta.MigrationSubject(from, to)})
	for _, j := range e.leaseAll(one, 10, protocol.JobMigrate) {
		if j.ID == id {
			return j
		}
	}
	e.Fatalf("the migration from %s to %s was not leased", from, to)
	return meta.LeasedJob{}
}

func (e *env) beginMigration(j meta.LeasedJob, from, to string) error {
	return e.db.BeginMigration(meta.Fenced(e.ctx, j.Lease), from, to)
}

// goesFirst expects a refusal in another's favour.
func (e *env) goesFirst(err error, other meta.LeasedJob) {
	e.Helper()
	e.kind(err, protocol.KindConflict)
	if !strings.Contains(err.Error(), "job "+other.ID.String()+",") {
		e.Errorf("job %s is not in %v", other.ID, err)
	}
}

func (e *env) migratesIs(j meta.LeasedJob, from, to string, want bool) {
	e.Helper()
	yes, err := e.db.Migrates(meta.Fenced(e.ctx, j.Lease), from, to)
	e.ok(err)
	e.same("it is the one that migrates from "+from+" to "+to, yes, want)
}

func (e *env) closedIs(want map[string]string) {
	e.Helper()
	closed, err := e.db.ClosedStores(e.ctx)
	e.ok(err)
	e.same("closed", closed, want)
}
