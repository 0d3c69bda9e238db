package metatest

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const lease = 30 * time.Second

var (
	one   = meta.JobHolder{Name: "one", Node: "n1"}
	other = meta.JobHolder{Name: "other", Node: "n2"}
)

// enqueue makes a job, of kind k where the test says no other.
func (e *env) enqueue(n meta.NewJob) protocol.JobID {
	e.Helper()
	if n.Kind == "" {
		n.Kind = "k"
	}
	id, _, err := e.db.Enqueue(e.ctx, n)
	e.ok(err)
	return id
}

// lines are those of the holder that are due, of the kinds, or of k.
func (e *env) lines(holder meta.JobHolder, kinds ...protocol.JobKind) (due []meta.JobLine) {
	e.Helper()
	if len(kinds) == 0 {
		kinds = []protocol.JobKind{"k"}
	}
	lines, err := e.db.JobLines(e.ctx, holder, kinds)
	e.ok(err)
	for _, l := range lines {
		if l.Kind != "" && l.DueIn <= 0 {
			due = append(due, l)
		}
	}
	return due
}

// leaseAll leases up to limit jobs as a queue does, the most urgent first.
func (e *env) leaseAll(holder meta.JobHolder, limit int, kinds ...protocol.JobKind) (jobs []meta.LeasedJob) {
	e.Helper()
	for _, line := range e.lines(holder, kinds...) {
		if limit == len(jobs) {
			break
		}
		got, err := e.db.LeaseJobs(e.ctx, holder, line, lease, limit-len(jobs))
		e.ok(err)
		jobs = append(jobs, got...)
	}
	return jobs
}

// leaseOne leases the one job there is.
func (e *env) leaseOne(holder meta.JobHolder) meta.LeasedJob {
	e.Helper()
	jobs := e.leaseAll(holder, 10)
	if len(jobs) != 1 {
		e.Fatalf("%d jobs were leased, want one: %+v", len(jobs), jobs)
	}
	return jobs[0]
}

func (e *env) job(id protocol.JobID) meta.Job {
	e.Helper()
	j, err := e.db.Job(e.ctx, meta.AnyOwner, id)
	e.ok(err)
	return j
}

// jobIs expects a job's state and attempts.
func (e *env) jobIs(id protocol.JobID, state protocol.JobState, attempts int) {
	e.Helper()
	j := e.job(id)
	e.same("state and attempts", []any{j.State, j.Attempts}, []any{state, attempts})
}

func (e *env) end(j meta.LeasedJob, result meta.JobResult) {
	e.Helper()
	e.ok(e.db.EndJob(e.ctx, j.Lease, meta.JobOutcome{Result: result, Error: "broken", After: time.Minute}))
}

func (e *env) lost(err error) {
	e.Helper()
	if !errors.Is(err, meta.ErrLeaseLost) {
		e.Fatalf("got %v, want that the lease is lost", err)
	}
}

func jobIDs(jobs []meta.LeasedJob) (ids []protocol.JobID) {
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

var jobTests = map[string]func(*env){
	"a job as it was enqueued": func(e *env) {
		at := e.clock.Now()
		n := meta.NewJob{Kind: "k", Owner: alice, Args: json.RawMessage(`{"a":1}`), Subject: "s", Priority: protocol.PriorityHigh,
			After: time.Minute, MaxAttempts: 3, Node: "n1"}
		id, made, err := e.db.Enqueue(e.ctx, n)
		e.ok(err)
		e.same("made", made, true)
		j := e.job(id)
		n.After = 0 // is in RunAt
		e.same("job", j, meta.Job{ID: id, NewJob: n, State: protocol.JobReady, CreatedAt: at, RunAt: at.Add(time.Minute)})
		plain := e.job(e.enqueue(meta.NewJob{}))
		e.same("defaults", []any{string(plain.Args), plain.MaxAttempts, plain.RunAt}, []any{"{}", 10, at})
		for what, bad := range map[string]meta.NewJob{
			"no kind": {}, "no JSON": {Kind: "k", Args: json.RawMessage("x")}, "no priority": {Kind: "k", Priority: 2}, "no attempts": {Kind: "k", MaxAttempts: -1},
		} {
			if _, _, err := e.db.Enqueue(e.ctx, bad); protocol.KindOf(err) != protocol.KindInternal {
				e.Fatalf("%s: %v", what, err)
			}
		}
	},
	"of one subject one waits, moved up": func(e *env) {
		id := e.enqueue(meta.NewJob{Subject: "s", After: time.Hour})
		again, made, err := e.db.Enqueue(e.ctx, meta.NewJob{Kind: "k", Subject: "s", After: time.Minute, Priority: protocol.PriorityHigh})
		e.ok(err)
		e.same("the same", []any{again, made}, []any{id, false})
		e.enqueue(meta.NewJob{Subject: "s", After: 2 * time.Hour})
		j := e.job(id)
		e.same("moved up", []any{j.RunAt, j.Priority}, []any{e.clock.Now().Add(time.Minute), protocol.PriorityHigh})
		if e.enqueue(meta.NewJob{Kind: "l", Subject: "s"}) == id || e.enqueue(meta.NewJob{Subject: "t"}) == id {
			e.Fatal("another kind or subject is another job")
		}
		if a, b := e.enqueue(meta.NewJob{}), e.enqueue(meta.NewJob{}); a == b {
			e.Fatal("jobs without a subject are one")
		}
	},
	"the most urgent first, then what is due longest": func(e *env) {
		late := e.enqueue(meta.NewJob{Priority: protocol.PriorityIdle})
		e.enqueue(meta.NewJob{Priority: protocol.PriorityHigh, After: time.Second})
		e.clock.Add(time.Millisecond)
		second := e.enqueue(meta.NewJob{Priority: protocol.PriorityNormal, After: -time.Millisecond})
		third := e.enqueue(meta.NewJob{Priority: protocol.PriorityNormal})
		first := e.enqueue(meta.NewJob{Priority: protocol.PriorityHigh})
		e.same("in order", jobIDs(e.leaseAll(one, 3)), []protocol.JobID{first, second, third})
		e.same("the rest", jobIDs(e.leaseAll(one, 3)), []protocol.JobID{late})
		lines, err := e.db.JobLines(e.ctx, one, []protocol.JobKind{"k"})
		e.ok(err)
		e.same("what is to come", lines[len(lines)-1], meta.JobLine{Kind: "k", Priority: protocol.PriorityHigh, DueIn: time.Second - time.Millisecond})
	},
	"a node's jobs are that node's, a kind's are for who knows it": func(e *env) {
		id := e.enqueue(meta.NewJob{Node: "n2"})
		unknown := e.enqueue(meta.NewJob{Kind: "newer"})
		e.same("of another node", len(e.leaseAll(one, 10)), 0)
		e.same("its own", jobIDs(e.leaseAll(other, 10)), []protocol.JobID{id})
		e.clock.Add(lease)
		e.same("left by its holder", len(e.leaseAll(one, 10)), 0)
		e.same("its own again", jobIDs(e.leaseAll(meta.JobHolder{Name: "later", Node: "n2"}, 10)), []protocol.JobID{id})
		e.jobIs(unknown, protocol.JobReady, 0)
		e.same("a newer one's", jobIDs(e.leaseAll(one, 10, "k", "newer")), []protocol.JobID{unknown})
	},
	"a lease": func(e *env) {
		id := e.enqueue(meta.NewJob{Subject: "s"})
		j := e.leaseOne(one)
		e.same("leased", []any{j.ID, j.Lease.Job, j.State, j.Holder, j.Attempts, *j.StartedAt}, []any{id, id, protocol.JobRunning, "one", 1, e.clock.Now()})
		e.same("once", len(e.leaseAll(other, 10)), 0)
		behind := e.enqueue(meta.NewJob{Subject: "s"})
		if behind == id {
			e.Fatal("what is asked for while it runs must be done once more")
		}
		e.same("one about a subject runs", len(e.leaseAll(other, 10)), 0)
		e.end(j, meta.ResultDone)
		e.same("then the next", e.leaseOne(other).ID, behind)
		done := e.job(id)
		e.same("done", []any{done.State, *done.FinishedAt, done.Error, done.Holder}, []any{protocol.JobDone, e.clock.Now(), "", "one"})
	},
	"a beat keeps the lease, and tells": func(e *env) {
		id := e.enqueue(meta.NewJob{})
		j := e.leaseOne(one)
		total := int64(9)
		for range 3 {
			e.clock.Add(lease - time.Millisecond)
			e.same("not left", len(e.lines(other)), 0)
			cancelled, err := e.db.BeatJob(e.ctx, j.Lease, lease, &protocol.JobProgress{Done: 3, Total: &total, Unit: "bytes", Note: "x"}, json.RawMessage(`{"at":3}`))
			e.ok(err)
			e.same("cancelled", cancelled, false)
		}
		_, err := e.db.BeatJob(e.ctx, j.Lease, lease, nil, nil)
		e.ok(err)
		got := e.job(id)
		e.same("told", []any{got.Progress.Done, *got.Progress.Total, got.Progress.Unit, got.Progress.Note, string(got.Checkpoint)}, []any{3, 9, "bytes", "x", `{"at":3}`})
		e.clock.Add(lease)
		e.same("left", len(e.lines(other)), 1)
		_, err = e.db.BeatJob(e.ctx, j.Lease, lease, nil, nil)
		e.ok(err)
		e.same("nobody took it, so it goes on", len(e.lines(other)), 0)
	},
	"a lease that is lost is no right": func(e *env) {
		u, f := e.put("x", 1, 5)
		id := e.enqueue(meta.NewJob{})
		lost := e.leaseOne(one)
		ctx := meta.Fenced(e.ctx, lost.Lease)
		e.ok(e.db.EnqueueScrub(ctx, 1))
		e.clock.Add(lease)
		e.ok(e.db.EnqueueScrub(ctx, 2)) // nobody took it yet
		now := e.leaseOne(other)
		e.same("taken over", []any{now.ID, now.Attempts, now.Holder, now.Lease.Fence > lost.Lease.Fence}, []any{id, 2, "other", true})
		_, err := e.db.BeatJob(e.ctx, lost.Lease, lease, &protocol.JobProgress{Done: 9}, json.RawMessage(`1`))
		e.lost(err)
		for result := meta.ResultDone; result <= meta.ResultCancelled; result++ {
			e.lost(e.db.EndJob(e.ctx, lost.Lease, meta.JobOutcome{Result: result}))
		}
		e.lost(e.db.DeleteFile(ctx, alice, f.UID))
		e.lost(e.db.EnqueueScrub(ctx, 3))
		_, err = e.db.DoomOffered(ctx, 10)
		e.lost(err)
		e.jobIs(id, protocol.JobRunning, 2)
		e.same("nothing was written", []any{e.job(id).Progress, len(e.job(id).Checkpoint), len(e.scrubs())}, []any{(*protocol.JobProgress)(nil), 0, 2})
		e.blobState(u.Blob, meta.BlobLive)
		e.ok(e.db.DeleteFile(meta.Fenced(e.ctx, now.Lease), alice, f.UID))
		e.end(now, meta.ResultDone)
		e.lost(e.db.EnqueueScrub(meta.Fenced(e.ctx, now.Lease), 3))
		e.lost(e.db.EndJob(e.ctx, now.Lease, meta.JobOutcome{}))
	},
	"who finds all holders dead takes their jobs at once": func(e *env) {
		id := e.enqueue(meta.NewJob{})
		e.leaseOne(one)
		n, err := e.db.AbandonLeases(e.ctx, "")
		e.ok(err)
		e.same("abandoned", n, 1)
		e.same("taken over", e.leaseOne(other).ID, id)
	},
	"a node takes what its earlier processes had at once, and nothing of others'": func(e *env) {
		var ids []protocol.JobID
		for _, h := range []meta.JobHolder{meta.HolderOn("aa", "1"), meta.HolderOn("aa", "2"), meta.HolderOn("ab", "1"), meta.HolderOn("a", "1"), {Name: "aa"}} {
			ids = append(ids, e.enqueue(meta.NewJob{}))
			e.leaseOne(h)
		}
		n, err := e.db.AbandonLeases(e.ctx, "aa")
		e.ok(err)
		e.same("abandoned", n, 2)
		var taken []protocol.JobID
		for _, j := range e.leaseAll(meta.HolderOn("aa", "3"), 10) {
			taken = append(taken, j.ID)
		}
		e.same("taken over", taken, ids[:2])
		for _, id := range ids[2:] {
			e.jobIs(id, protocol.JobRunning, 1)
		}
	},
	"a job that is bound to a node which died can be ended, by whoever asks for it and whoever finds it": func(e *env) {
		holder := meta.HolderOn("n2", "1")
		bound := func(max int) protocol.JobID {
			id := e.enqueue(meta.NewJob{Node: "n2", MaxAttempts: max})
			e.leaseOne(holder)
			return id
		}
		after, before, poison := bound(0), bound(0), bound(1)
		j, err := e.db.CancelJob(e.ctx, meta.AnyOwner, before)
		e.ok(err)
		e.same("its holder may live", []any{j.State, j.Cancelling}, []any{protocol.JobRunning, true})
		e.clock.Add(lease)
		j, err = e.db.CancelJob(e.ctx, meta.AnyOwner, after)
		e.ok(err)
		e.same("nobody lives who would end it", []any{j.State, j.Cancelling}, []any{protocol.JobCancelled, false})
		left := bound(0)
		e.clock.Add(lease)
		e.same("nobody does it elsewhere", len(e.leaseAll(one, 10)), 0)
		e.jobIs(before, protocol.JobCancelled, 1)
		e.jobIs(poison, protocol.JobDead, 1)
		e.jobIs(left, protocol.JobRunning, 1)
		e.same("nothing is left to be found", len(e.lines(one)), 0)
		e.same("what nobody ended goes on there", jobIDs(e.leaseAll(meta.HolderOn("n2", "2"), 10)), []protocol.JobID{left})
	},
	"queues have word of what is due, once it is": func(e *env) {
		word, stop := e.db.JobHints()
		has := func() bool {
			select {
			case <-word:
				return true
			default:
				return false
			}
		}
		if othersTell {
			<-word // since what was told before it listened was missed
		}
		e.same("nothing yet", has(), false)
		id := e.enqueue(meta.NewJob{})
		e.enqueue(meta.NewJob{})
		e.same("word", []bool{has(), has()}, []bool{true, false})
		j := e.leaseAll(one, 1)[0]
		e.same("a lease is none", has(), false)
		_, err := e.db.CancelJob(e.ctx, meta.AnyOwner, id)
		e.ok(err)
		e.same("of a cancellation", has(), true)
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		if _, _, err := e.db.Enqueue(ctx, meta.NewJob{Kind: "k"}); err == nil {
			e.Fatal("enqueued")
		}
		e.lost(e.db.EnqueueScrub(meta.Fenced(e.ctx, meta.JobLease{Job: j.ID, Fence: 99}), 1))
		e.same("not of what did not happen", has(), false)
		stop()
		e.enqueue(meta.NewJob{})
		e.same("nor after the end", has(), false)
	},
}
