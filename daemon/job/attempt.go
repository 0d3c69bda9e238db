package job

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// endPatience is how long a database that takes nothing is waited for with
	// the end of an attempt; after it the lease runs out.
	endPatience = 30 * time.Second
	endPause    = 200 * time.Millisecond
)

// beatAll keeps the leases of our own that seem to have run out: where the clock
// was set it is they that are left, as it seems, and not those of the dead.
func (q *Queue) beatAll(ctx context.Context, kind protocol.JobKind) {
	q.mu.Lock()
	var own []*Run
	for _, r := range q.running {
		if r.Job.Kind == kind {
			own = append(own, r)
		}
	}
	q.mu.Unlock()
	for _, r := range own {
		if err := r.beatOnce(ctx, nil); errors.Is(err, meta.ErrLeaseLost) {
			r.cancel(meta.ErrLeaseLost)
		}
	}
}

// start runs an attempt beside the queue. One at the same job that still runs
// here has lost its lease, and is waited for.
func (q *Queue) start(ctx context.Context, h Handler, j meta.LeasedJob, leased time.Time) {
	base := context.WithoutCancel(ctx)
	attempt, cancel := context.WithCancelCause(base)
	r := &Run{Job: j.Job, Lease: j.Lease, handler: h, records: q.cfg.Meta, cancel: cancel, told: true, ended: make(chan struct{})}
	q.mu.Lock()
	before := q.running[j.ID]
	q.running[j.ID] = r
	q.mu.Unlock()
	if before != nil {
		before.cancel(meta.ErrLeaseLost)
	}
	q.wg.Go(func() {
		defer close(r.ended)
		defer cancel(nil)
		if before != nil {
			<-before.ended
		}
		q.attempt(attempt, base, r, leased)
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.running[j.ID] == r {
			delete(q.running, j.ID)
		}
		select {
		case q.freed <- struct{}{}:
		default:
		}
	})
}

// attempt runs the handler while it beats, and records how that ended.
func (q *Queue) attempt(ctx, base context.Context, r *Run, leased time.Time) {
	beating, stop := context.WithCancel(base)
	var beats sync.WaitGroup
	beats.Go(func() { r.beat(beating, base, leased) })
	work := meta.Fenced(ctx, r.Lease)
	if r.handler.Timeout > 0 {
		var cancel context.CancelFunc
		work, cancel = context.WithTimeoutCause(work, r.handler.Timeout, ErrTimeout)
		defer cancel()
	}
	begun := time.Now()
	err := context.Cause(work)
	if err == nil {
		err = r.do(work, func(v any, stack string) {
			q.log.Error("a job's handler panicked", "job", r.Job.ID, "kind", r.Job.Kind, "panic", v, "stack", stack)
		})
	}
	stop()
	beats.Wait()
	o := r.outcome(err, context.Cause(work), r.handler.Backoff)
	q.end(base, r, o, err)
	q.cfg.Ended(r.Job.Kind, o.Result, time.Since(begun))
}

// end records the outcome, also where the database takes nothing for a while.
func (q *Queue) end(base context.Context, r *Run, o meta.JobOutcome, failure error) {
	ctx, cancel := context.WithTimeout(base, endPatience)
	defer cancel()
	for {
		err := q.cfg.Meta.EndJob(ctx, r.Lease, o)
		switch {
		case err == nil:
			q.tell(r, o, failure)
			return
		case errors.Is(err, meta.ErrLeaseLost):
			q.log.Warn("a job ended after its lease was lost; whoever has it goes on", "job", r.Job.ID, "kind", r.Job.Kind)
			return
		}
		select {
		case <-ctx.Done():
			q.log.Error("the end of a job could not be recorded; it is begun again once its lease ran out", "job", r.Job.ID, "kind", r.Job.Kind, "err", err)
			return
		case <-time.After(endPause):
		}
	}
}

func (q *Queue) tell(r *Run, o meta.JobOutcome, failure error) {
	args := []any{"job", r.Job.ID, "kind", r.Job.Kind, "attempt", r.Job.Attempts, "err", failure}
	switch {
	case o.Result == meta.ResultHopeless, o.Result == meta.ResultFailed && r.Job.Attempts >= r.Job.MaxAttempts:
		q.log.Error("a job is dead; `osp admin jobs retry` has it tried again", args...)
	case o.Result == meta.ResultFailed:
		q.log.Warn("a job failed; it is tried again", append(args, "in", o.After.Round(time.Second))...)
	}
}
