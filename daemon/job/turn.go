package job

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// restartBatch bounds the rows of one transaction.
const restartBatch = 256

// turn begins what is due and gives how long there is nothing to do by itself.
func (q *Queue) turn(ctx context.Context) (wait time.Duration, err error) {
	if err := q.prepare(ctx); err != nil {
		return q.cfg.Poll, err
	}
	if err := q.endCancelled(ctx); err != nil {
		return q.cfg.Poll, err
	}
	q.handOver()
	return q.begin(ctx)
}

// handOver ends the contexts of the attempts that others are to go on with.
func (q *Queue) handOver() {
	if !q.cfg.StandsAside() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.running {
		if r.Job.Node == "" {
			r.cancel(ErrDraining)
		}
	}
}

// holder is who leases jobs now.
func (q *Queue) holder() meta.JobHolder {
	h := q.cfg.Holder
	h.Bound = q.cfg.StandsAside()
	return h
}

// begin is turn once all is prepared.
func (q *Queue) begin(ctx context.Context) (wait time.Duration, err error) {
	lines, err := q.cfg.Meta.JobLines(ctx, q.holder(), q.freeKinds())
	if err != nil {
		return q.cfg.Poll, err
	}
	wait = q.cfg.Poll
	for _, line := range lines {
		switch {
		case line.Kind == "":
			_, err = q.cfg.Meta.RestartJobs(ctx, restartBatch)
		case line.DueIn > 0:
			wait = min(wait, line.DueIn)
		default:
			err = q.lease(ctx, line)
		}
		if err != nil {
			return q.cfg.Poll, err
		}
	}
	return wait, nil
}

// prepare does, until it succeeded once, what comes before the first job.
func (q *Queue) prepare(ctx context.Context) error {
	if q.prepared {
		return nil
	}
	if err := q.abandon(ctx); err != nil {
		return err
	}
	for _, p := range q.cfg.Periodic {
		if err := q.cfg.Meta.SetPeriodic(ctx, p.Job, p.Every); err != nil {
			return err
		}
	}
	q.prepared = true
	return nil
}

// abandon has the leases of the dead run out, once.
func (q *Queue) abandon(ctx context.Context) error {
	node := q.cfg.Holder.Node
	if q.cfg.Alone {
		node = ""
	}
	if q.abandoned || node == "" && !q.cfg.Alone {
		return nil
	}
	_, err := q.cfg.Meta.AbandonLeases(ctx, node)
	q.abandoned = err == nil
	return err
}

// endCancelled ends the contexts of the attempts whose job was cancelled.
func (q *Queue) endCancelled(ctx context.Context) error {
	q.mu.Lock()
	idle := len(q.running) == 0
	q.mu.Unlock()
	if idle {
		return nil
	}
	list, err := q.cfg.Meta.CancelledJobs(ctx, q.cfg.Holder.Name)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range list {
		if r := q.running[id]; r != nil {
			r.cancel(ErrCancelled)
		}
	}
	return err
}

// free is how many more jobs of the kind may run.
func (q *Queue) free(kind protocol.JobKind) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.handlers[kind].Concurrency
	for _, r := range q.running {
		if r.Job.Kind == kind {
			n--
		}
	}
	return n
}

func (q *Queue) freeKinds() (kinds []protocol.JobKind) {
	for _, h := range q.cfg.Handlers {
		if q.free(h.Kind) > 0 {
			kinds = append(kinds, h.Kind)
		}
	}
	return kinds
}

// lease leases and begins what is due in a line.
func (q *Queue) lease(ctx context.Context, line meta.JobLine) error {
	h, now := q.handlers[line.Kind], time.Now()
	if line.Expired {
		q.beatAll(ctx, line.Kind)
	}
	n := q.free(line.Kind)
	if n <= 0 {
		return nil
	}
	jobs, err := q.cfg.Meta.LeaseJobs(ctx, q.holder(), line, h.Lease, n)
	for _, j := range jobs {
		q.start(ctx, h, j, now)
	}
	return err
}
