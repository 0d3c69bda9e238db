package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Run is one attempt at a job.
type Run struct {
	Job   meta.Job
	Lease meta.JobLease

	handler Handler
	records Records
	cancel  context.CancelCauseFunc
	// ended is closed when nothing of the attempt goes on any more.
	ended chan struct{}

	mu sync.Mutex
	// progress is what was said last, told whether that is recorded. Guarded by
	// mu.
	progress *protocol.JobProgress
	told     bool
}

// Progress says how far the job is. It is recorded within a second or two, or at
// the end.
func (r *Run) Progress(p protocol.JobProgress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress, r.told = &p, false
}

// Save keeps where the next attempt is to go on: should this one end here,
// Saved of that gives it. It is recorded when Save returns.
func (r *Run) Save(ctx context.Context, at any) error {
	b, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("save where job %d is: %w", r.Job.ID, err)
	}
	_, err = r.records.BeatJob(ctx, r.Lease, r.handler.Lease, r.untold(), b)
	return err
}

// Saved reads what an earlier attempt saved last, if one did.
func (r *Run) Saved(into any) (found bool, err error) {
	if len(r.Job.Checkpoint) == 0 {
		return false, nil
	}
	if err := decode(r.Job.Checkpoint, into); err != nil {
		return false, Hopeless(fmt.Errorf("where it was, %.200q, cannot be read: %w", r.Job.Checkpoint, err))
	}
	return true, nil
}

// untold is progress that is about to be recorded, nil where all is.
func (r *Run) untold() *protocol.JobProgress {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		return nil
	}
	r.told = true
	return r.progress
}

// tellEvery is how often progress is recorded.
const tellEvery = time.Second

// beat keeps the lease until ctx ends, and ends the attempt, by its cancel,
// where the lease is lost or the job was cancelled. base is for the beats.
func (r *Run) beat(ctx, base context.Context, leased time.Time) {
	lease := r.handler.Lease
	lost := time.AfterFunc(lease-time.Since(leased), func() { r.cancel(meta.ErrLeaseLost) })
	defer lost.Stop()
	tick := time.NewTicker(min(tellEvery, lease/3))
	defer tick.Stop()
	for beaten := leased; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		said := r.untold()
		if said == nil && time.Since(beaten) < lease/3-tellEvery/2 {
			continue
		}
		now := time.Now()
		err := r.beatOnce(base, said)
		if errors.Is(err, meta.ErrLeaseLost) {
			r.cancel(meta.ErrLeaseLost)
			return
		}
		if err == nil {
			beaten = now
			lost.Reset(lease - time.Since(now))
		}
	}
}

func (r *Run) beatOnce(base context.Context, said *protocol.JobProgress) error {
	ctx, cancel := context.WithTimeout(base, r.handler.Lease)
	defer cancel()
	cancelled, err := r.records.BeatJob(ctx, r.Lease, r.handler.Lease, said, nil)
	if err == nil && cancelled {
		r.cancel(ErrCancelled)
	}
	return err
}

// do is the handler's attempt; a panic is its error.
func (r *Run) do(ctx context.Context, panicked func(v any, stack string)) (err error) {
	defer func() {
		if v := recover(); v != nil {
			panicked(v, string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", v)
		}
	}()
	return r.handler.Do(ctx, r)
}

// outcome is what the attempt's end means for the job. cause is why the
// attempt's context ended, nil where it did not.
func (r *Run) outcome(err, cause error, backoff func(attempt int) time.Duration) meta.JobOutcome {
	o := meta.JobOutcome{Progress: r.untold()}
	var later snooze
	var never hopeless
	switch {
	case err == nil:
		o.Result = meta.ResultDone
	case errors.Is(cause, ErrCancelled):
		o.Result = meta.ResultCancelled
	case errors.Is(cause, ErrDraining):
		o.Result = meta.ResultSnoozed
	case errors.As(err, &later):
		o.Result, o.After = meta.ResultSnoozed, time.Duration(later)
	case errors.As(err, &never):
		o.Result, o.Error = meta.ResultHopeless, r.says(err)
	case cause != nil:
		o.Result, o.Error, o.After = meta.ResultFailed, cause.Error(), backoff(r.Job.Attempts)
	default:
		o.Result, o.Error, o.After = meta.ResultFailed, r.says(err), backoff(r.Job.Attempts)
	}
	return o
}

// maxError bounds what is kept of an error, in bytes.
const maxError = 1000

// says is what is kept of an error. An owner reads of his job what is written
// for him, and never a cause, which may say where things are.
func (r *Run) says(err error) string {
	text := err.Error()
	if r.Job.Owner != "" {
		text = "the daemon failed; its log says how"
		var never hopeless
		if e, ok := errors.AsType[*protocol.Error](err); ok && e.Message != "" {
			text = e.Message
		} else if errors.As(err, &never) {
			text = err.Error()
		}
	}
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}
