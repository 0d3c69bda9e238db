package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	queue "github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// jobsAtOnce is how many jobs run at once where there are many.
	jobsAtOnce = 16
	// manyJobs are enqueued together, fewJobs one after the other.
	manyJobs, fewJobs = 2000, 200
	// benchJob is a kind of job that does nothing.
	benchJob protocol.JobKind = "bench"
)

// jobsWork measures the queue of durable jobs.
func jobsWork() work {
	return work{name: "jobs", oursAlone: true, measure: func(ctx context.Context, b *bench) (*table, error) {
		b.table = &table{
			title: "Durable jobs (`jobs`)",
			notes: fmt.Sprintf("%d jobs that do nothing, enqueued by 64 clients, each in a transaction of its own, while %d run at once; then %d one after the other, each from before it is enqueued until its handler has begun.",
				manyJobs, jobsAtOnce, fewJobs),
			columns: []column{
				{head: "jobs/s (least – greatest)", value: rate, format: "%.0f", spread: true},
				millisecondsColumn("enqueue to start p50 ms", p50),
				millisecondsColumn("p99 ms", p99),
			},
		}
		return b.table, b.eachRecords(ctx, func(r *records) error {
			one, err := r.jobs(ctx)
			if err == nil {
				b.table.add(r.name, true, one)
			}
			return err
		})
	}}
}

// jobs runs a queue, first with many jobs at once and then with one at a time.
func (r *records) jobs(ctx context.Context) (sample, error) {
	began := make(chan time.Time, manyJobs)
	q, err := queue.New(queue.Config{
		Meta: r.DB, Holder: meta.JobHolder{Name: "bench"}, Alone: true, Logger: slog.New(slog.DiscardHandler),
		Handlers: []queue.Handler{{Kind: benchJob, Concurrency: jobsAtOnce, Do: func(context.Context, *queue.Run) error {
			began <- time.Now()
			return nil
		}}},
	})
	if err != nil {
		return sample{}, err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.Run(running)
	}()
	defer func() {
		stop()
		<-done
	}()
	many, err := r.load(ctx, 64, manyJobs, func(ctx context.Context, _ int) error { return r.enqueue(ctx) })
	if err != nil {
		return sample{}, err
	}
	first := time.Now().Add(-many.wall)
	var last time.Time
	for range many.requests {
		if last, err = next(ctx, began); err != nil {
			return sample{}, err
		}
	}
	few, err := r.load(ctx, 1, fewJobs, func(ctx context.Context, _ int) error {
		if err := r.enqueue(ctx); err != nil {
			return err
		}
		_, err := next(ctx, began)
		return err
	})
	return sample{rate: float64(many.requests) / last.Sub(first).Seconds(), p50: few.p50, p99: few.p99}, err
}

func (r *records) enqueue(ctx context.Context) error {
	_, _, err := r.Enqueue(ctx, meta.NewJob{Kind: benchJob, Owner: recordsOwner, Args: json.RawMessage(`{}`), MaxAttempts: 1})
	return err
}

// next is when the next job began.
func next(ctx context.Context, began <-chan time.Time) (time.Time, error) {
	select {
	case t := <-began:
		return t, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}
