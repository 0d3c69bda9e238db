package metatest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var jobEndTests = map[string]func(*env){
	"a job that fails is tried again, and dead in the end": func(e *env) {
		id := e.enqueue(meta.NewJob{MaxAttempts: 3})
		for attempt := 1; ; attempt++ {
			j := e.leaseOne(one)
			e.same("attempt", j.Attempts, attempt)
			e.end(j, meta.ResultFailed)
			e.same("not at once", len(e.lines(one)), 0)
			e.same("why", e.job(id).Error, "broken")
			if attempt == 3 {
				break
			}
			e.jobIs(id, protocol.JobReady, attempt)
			e.clock.Add(time.Minute)
		}
		e.jobIs(id, protocol.JobDead, 3)
		e.same("at", *e.job(id).FinishedAt, e.clock.Now())
		e.clock.Add(time.Hour)
		e.same("never again", len(e.lines(one)), 0)
	},
	"a job that kills who runs it is dead": func(e *env) {
		id := e.enqueue(meta.NewJob{MaxAttempts: 3})
		for range 3 {
			e.leaseOne(one)
			e.clock.Add(lease)
		}
		e.same("no lease is given", len(e.leaseAll(one, 10)), 0)
		e.jobIs(id, protocol.JobDead, 3)
		if why := e.job(id).Error; !strings.Contains(why, "in each of 3 attempts") {
			e.Fatalf("it says %q", why)
		}
	},
	"hopeless is dead at once": func(e *env) {
		id := e.enqueue(meta.NewJob{})
		e.end(e.leaseOne(one), meta.ResultHopeless)
		e.jobIs(id, protocol.JobDead, 1)
	},
	"a snooze is no attempt": func(e *env) {
		id := e.enqueue(meta.NewJob{MaxAttempts: 1})
		for range 3 {
			e.end(e.leaseOne(one), meta.ResultSnoozed)
			e.jobIs(id, protocol.JobReady, 0)
			e.same("later", e.job(id).RunAt, e.clock.Now().Add(time.Minute))
			e.clock.Add(time.Minute)
		}
	},
	"cancel": func(e *env) {
		waiting, running, leaves := e.enqueue(meta.NewJob{After: time.Hour}), e.enqueue(meta.NewJob{}), e.enqueue(meta.NewJob{})
		jobs := e.leaseAll(one, 10)
		for id, want := range map[protocol.JobID]protocol.JobState{waiting: protocol.JobCancelled, running: protocol.JobRunning, leaves: protocol.JobRunning} {
			for range 2 {
				j, err := e.db.CancelJob(e.ctx, meta.AnyOwner, id)
				e.ok(err)
				e.same("cancelled", []any{j.ID, j.State, j.Cancelling}, []any{id, want, want == protocol.JobRunning})
			}
		}
		list, err := e.db.CancelledJobs(e.ctx, "one")
		e.ok(err)
		e.same("told", len(list), 2)
		list, err = e.db.CancelledJobs(e.ctx, "other")
		e.ok(err)
		e.same("nobody else", len(list), 0)
		cancelled, err := e.db.BeatJob(e.ctx, jobs[0].Lease, lease, nil, nil)
		e.ok(err)
		e.same("told with the beat", cancelled, true)
		e.end(jobs[0], meta.ResultFailed)
		e.jobIs(running, protocol.JobCancelled, 1)
		e.clock.Add(lease)
		e.same("whose holder left it is not begun again", len(e.leaseAll(other, 10)), 0)
		e.jobIs(leaves, protocol.JobCancelled, 1)
		done := e.enqueue(meta.NewJob{})
		j := e.leaseOne(one)
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, done)
		e.ok(err)
		e.end(j, meta.ResultDone)
		e.jobIs(done, protocol.JobDone, 1)
	},
	"a retry goes on where it was": func(e *env) {
		id := e.enqueue(meta.NewJob{MaxAttempts: 1, Subject: "s"})
		j := e.leaseOne(one)
		_, err := e.db.RetryJob(e.ctx, meta.AnyOwner, id)
		e.kind(err, protocol.KindConflict)
		total := int64(2)
		e.ok(e.db.EndJob(e.ctx, j.Lease, meta.JobOutcome{Result: meta.ResultFailed, Error: "broken", Progress: &protocol.JobProgress{Done: 1, Total: &total},
			Checkpoint: json.RawMessage(`7`)}))
		e.jobIs(id, protocol.JobDead, 1)
		waits := e.enqueue(meta.NewJob{Subject: "s", After: time.Hour})
		_, err = e.db.RetryJob(e.ctx, meta.AnyOwner, id)
		e.kind(err, protocol.KindConflict)
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, waits)
		e.ok(err)
		got, err := e.db.RetryJob(e.ctx, meta.AnyOwner, id)
		e.ok(err)
		e.same("ready", []any{got.State, got.Attempts, got.FinishedAt == nil, got.Error}, []any{protocol.JobReady, 0, true, "broken"})
		j = e.leaseOne(one)
		e.same("goes on", []any{j.ID, string(j.Checkpoint), j.Progress.Done}, []any{id, "7", 1})
		e.end(j, meta.ResultDone)
		_, err = e.db.RetryJob(e.ctx, meta.AnyOwner, id)
		e.kind(err, protocol.KindConflict)
		later := e.enqueue(meta.NewJob{After: time.Hour})
		_, err = e.db.RetryJob(e.ctx, meta.AnyOwner, later)
		e.ok(err)
		e.same("what waits, now", e.leaseOne(one).ID, later)
	},
	"an owner's jobs are the owner's": func(e *env) {
		id := e.enqueue(meta.NewJob{Owner: alice, After: time.Hour})
		own := e.enqueue(meta.NewJob{})
		for _, verb := range []func(protocol.Owner, protocol.JobID) error{
			func(o protocol.Owner, id protocol.JobID) error { _, err := e.db.Job(e.ctx, o, id); return err },
			func(o protocol.Owner, id protocol.JobID) error { _, err := e.db.RetryJob(e.ctx, o, id); return err },
			func(o protocol.Owner, id protocol.JobID) error { _, err := e.db.CancelJob(e.ctx, o, id); return err },
		} {
			e.kind(verb(bob, id), protocol.KindNotFound)
			e.kind(verb(alice, own), protocol.KindNotFound)
			e.kind(verb(meta.AnyOwner, 99), protocol.KindNotFound)
			e.ok(verb(alice, id))
			e.ok(verb(meta.AnyOwner, own))
		}
	},
	"lists": func(e *env) {
		var all []protocol.JobID
		for i := range 6 {
			n := meta.NewJob{Owner: []protocol.Owner{alice, bob, ""}[i%3], Kind: []protocol.JobKind{"k", "l"}[i%2]}
			all = append([]protocol.JobID{e.enqueue(n)}, all...)
		}
		e.end(e.leaseAll(one, 1)[0], meta.ResultDone)
		list := func(owner protocol.Owner, q meta.JobQuery) (ids []protocol.JobID) {
			jobs, err := e.db.Jobs(e.ctx, owner, q)
			e.ok(err)
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			return ids
		}
		e.same("all, newest first", list(meta.AnyOwner, meta.JobQuery{Limit: 10}), all)
		e.same("a page", list(meta.AnyOwner, meta.JobQuery{Limit: 2}), all[:2])
		e.same("the next", list(meta.AnyOwner, meta.JobQuery{Limit: 10, Before: all[1]}), all[2:])
		e.same("alice's", list(alice, meta.JobQuery{Limit: 10}), []protocol.JobID{all[2], all[5]})
		e.same("done", list(meta.AnyOwner, meta.JobQuery{Limit: 10, State: protocol.JobDone}), all[5:])
		e.same("of a kind", list(meta.AnyOwner, meta.JobQuery{Limit: 10, Kind: "l"}), []protocol.JobID{all[0], all[2], all[4]})
		e.same("alice's done of a kind", list(alice, meta.JobQuery{Limit: 10, State: protocol.JobDone, Kind: "k"}), all[5:])
		e.same("none", len(list("carol", meta.JobQuery{Limit: 10})), 0)
	},
	"one that would wait beside another about the same ends in it": func(e *env) {
		for _, result := range []meta.JobResult{meta.ResultFailed, meta.ResultSnoozed} {
			first := e.enqueue(meta.NewJob{Subject: "s"})
			j := e.leaseOne(one)
			_, err := e.db.BeatJob(e.ctx, j.Lease, lease, nil, json.RawMessage(`7`))
			e.ok(err)
			second := e.enqueue(meta.NewJob{Subject: "s"})
			e.end(j, result)
			e.jobIs(first, protocol.JobCancelled, 1)
			next := e.job(second)
			attempts := 1
			if result == meta.ResultSnoozed {
				attempts = 0
			}
			e.same("goes on as the first would", []any{next.State, next.Attempts, next.RunAt, string(next.Checkpoint)},
				[]any{protocol.JobReady, attempts, e.clock.Now().Add(time.Minute), "7"})
			e.enqueue(meta.NewJob{Subject: "s"})
			if attempts > 0 {
				e.same("a failure is not got round", e.job(second).RunAt, e.clock.Now().Add(time.Minute))
			}
			e.clock.Add(time.Minute)
			e.end(e.leaseOne(one), meta.ResultDone)
		}
	},
}
