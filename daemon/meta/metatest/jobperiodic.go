package metatest

import (
	"encoding/json"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var periodicTests = map[string]func(*env){
	"runs again that long after its end, and misses nothing up": func(e *env) {
		n := meta.NewJob{Kind: "k", Subject: "all"}
		for range 3 { // as each node does
			e.ok(e.db.SetPeriodic(e.ctx, n, time.Hour))
		}
		j := e.leaseOne(one)
		e.clock.Add(lease - 1)
		e.ok(e.db.SetPeriodic(e.ctx, n, time.Hour))
		e.same("while it runs", len(e.leaseAll(other, 10)), 0)
		_, err := e.db.BeatJob(e.ctx, j.Lease, lease, nil, nil)
		e.ok(err)
		e.end(j, meta.ResultDone)
		next := e.leaseNext(time.Hour, j.ID)
		e.clock.Add(10 * time.Hour) // nobody was there
		e.end(next, meta.ResultDone)
		last := e.leaseNext(time.Hour, next.ID)
		e.end(last, meta.ResultDone)
		jobs, err := e.db.Jobs(e.ctx, meta.AnyOwner, meta.JobQuery{Limit: 10})
		e.ok(err)
		e.same("one to come, and the last that was", []any{len(jobs), jobs[0].State, jobs[1].ID, jobs[1].State}, []any{2, protocol.JobReady, last.ID, protocol.JobDone})
	},
	"goes on after a death and a cancellation": func(e *env) {
		e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "k", Subject: "all", MaxAttempts: 1}, time.Hour))
		j := e.leaseOne(one)
		e.end(j, meta.ResultFailed)
		e.jobIs(j.ID, protocol.JobDead, 1)
		e.clock.Add(time.Hour)
		j = e.leaseOne(one)
		_, err := e.db.CancelJob(e.ctx, meta.AnyOwner, j.ID)
		e.ok(err)
		e.end(j, meta.ResultCancelled)
		next := e.leaseNext(time.Hour, j.ID)
		e.end(next, meta.ResultDone)
		jobs, err := e.db.Jobs(e.ctx, meta.AnyOwner, meta.JobQuery{Limit: 1})
		e.ok(err)
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, jobs[0].ID)
		e.ok(err)
		e.leaseNext(time.Hour, jobs[0].ID)
	},
	"one that was cancelled is gone on with": func(e *env) {
		e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "k", Subject: "all"}, time.Hour))
		j := e.leaseOne(one)
		_, err := e.db.BeatJob(e.ctx, j.Lease, lease, nil, json.RawMessage(`"here"`))
		e.ok(err)
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, j.ID)
		e.ok(err)
		e.end(j, meta.ResultCancelled)
		e.jobIs(j.ID, protocol.JobCancelled, 1)
		_, err = e.db.RetryJob(e.ctx, meta.AnyOwner, j.ID)
		e.ok(err)
		again := e.leaseOne(one)
		e.same("it, and where it was", []any{again.ID, string(again.Checkpoint)}, []any{j.ID, `"here"`})
		e.same("nothing else waits", len(e.lines(one)), 0)
		e.end(again, meta.ResultDone)
		next := e.leaseNext(time.Hour, j.ID)
		e.same("the next begins anew", len(next.Checkpoint), 0)
		// Of one that failed since there is an attempt to wait for.
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, next.ID)
		e.ok(err)
		e.end(next, meta.ResultCancelled)
		other := e.leaseNext(time.Hour, next.ID)
		e.ok(e.db.EndJob(e.ctx, other.Lease, meta.JobOutcome{Result: meta.ResultFailed, After: time.Hour}))
		_, err = e.db.RetryJob(e.ctx, meta.AnyOwner, next.ID)
		e.kind(err, protocol.KindConflict)
	},
	"the setting changes": func(e *env) {
		n := meta.NewJob{Kind: "k", Subject: "all"}
		e.ok(e.db.SetPeriodic(e.ctx, n, 0))
		e.same("none", len(e.lines(one)), 0)
		e.ok(e.db.SetPeriodic(e.ctx, n, 24*time.Hour))
		e.end(e.leaseOne(one), meta.ResultDone)
		e.ok(e.db.SetPeriodic(e.ctx, n, time.Hour))
		j := e.leaseNext(time.Hour, 0)
		e.ok(e.db.SetPeriodic(e.ctx, n, time.Minute))
		e.end(j, meta.ResultDone)
		j = e.leaseNext(time.Minute, 0)
		e.ok(e.db.SetPeriodic(e.ctx, n, 0))
		e.end(j, meta.ResultDone)
		e.clock.Add(48 * time.Hour)
		e.same("none any more", len(e.lines(one)), 0)
		e.ok(e.db.SetPeriodic(e.ctx, n, time.Hour))
		e.ok(e.db.SetPeriodic(e.ctx, n, 0))
		e.same("nor one that waits", len(e.lines(one)), 0)
	},
	"is asked for now": func(e *env) {
		e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "k", Subject: "all"}, time.Hour))
		e.end(e.leaseOne(one), meta.ResultDone)
		e.enqueue(meta.NewJob{Subject: "all"})
		j := e.leaseOne(one)
		e.enqueue(meta.NewJob{Subject: "all"}) // once more, at once
		e.end(j, meta.ResultDone)
		j = e.leaseOne(one)
		e.end(j, meta.ResultDone)
		e.leaseNext(time.Hour, j.ID)
	},
	"a clock that was ahead keeps no job waiting": func(e *env) {
		const years = 10 * 365 * 24 * time.Hour
		e.clock.Add(years)
		e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "k", Subject: "all"}, 48*time.Hour))
		e.end(e.leaseOne(one), meta.ResultDone)
		e.enqueue(meta.NewJob{})
		running := e.leaseOne(one)
		done := e.enqueue(meta.NewJob{})
		e.end(e.leaseOne(one), meta.ResultDone)
		e.clock.Add(-years)
		lines, err := e.db.JobLines(e.ctx, one, []protocol.JobKind{"k"})
		e.ok(err)
		e.same("noticed", lines[0].Kind, "")
		for _, want := range []int{2, 2, 0} { // the next, the running, two done
			n, err := e.db.RestartJobs(e.ctx, 2)
			e.ok(err)
			e.same("began anew", n, want)
		}
		e.same("taken over", e.leaseOne(other).ID, running.ID)
		e.same("finished", *e.job(done).FinishedAt, e.clock.Now())
		e.clock.Add(48*time.Hour - time.Millisecond)
		_, err = e.db.BeatJob(e.ctx, meta.JobLease{Job: running.ID, Fence: 2}, lease, nil, nil)
		e.ok(err)
		e.same("not before its time", len(e.lines(one)), 0)
		e.clock.Add(time.Millisecond)
		e.same("in time", len(e.lines(one)), 1)
		lines, err = e.db.JobLines(e.ctx, one, []protocol.JobKind{"k"})
		e.ok(err)
		e.same("nothing to notice", lines[0].Kind, "k")
	},
}

// leaseNext expects that the next run of a periodic job is due in that time, and
// leases it then.
func (e *env) leaseNext(in time.Duration, after protocol.JobID) meta.LeasedJob {
	e.Helper()
	e.clock.Add(in - time.Millisecond)
	e.same("not before its time", len(e.lines(one)), 0)
	e.clock.Add(time.Millisecond)
	j := e.leaseOne(one)
	if j.ID == after {
		e.Fatalf("job %d runs again", after)
	}
	return j
}
