package job

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Records is what a Queue needs of the metadata; meta.DB is the one.
type Records interface {
	JobHints() (word <-chan struct{}, stop func())
	JobLines(ctx context.Context, holder meta.JobHolder, kinds []protocol.JobKind) ([]meta.JobLine, error)
	LeaseJobs(ctx context.Context, holder meta.JobHolder, line meta.JobLine, lease time.Duration, limit int) ([]meta.LeasedJob, error)
	BeatJob(ctx context.Context, l meta.JobLease, lease time.Duration, progress *protocol.JobProgress, checkpoint json.RawMessage) (cancelled bool, err error)
	EndJob(ctx context.Context, l meta.JobLease, o meta.JobOutcome) error
	CancelledJobs(ctx context.Context, holder string) ([]protocol.JobID, error)
	SetPeriodic(ctx context.Context, n meta.NewJob, every time.Duration) error
	RestartJobs(ctx context.Context, limit int) (int, error)
	AbandonLeases(ctx context.Context) (int, error)
}

// Config is what a Queue needs.
type Config struct {
	Meta     Records
	Handlers []Handler
	Periodic []Periodic
	// Holder is this process.
	Holder meta.JobHolder
	// Alone: no other process runs jobs of the database, so that those that run
	// at the start are nobody's.
	Alone bool
	// Poll is after how long the queue looks for jobs that nobody gave word of:
	// other processes enqueue too. 5 s where 0.
	Poll time.Duration
	// Random gives numbers in [0, 1), rand.Float64 when nil.
	Random func() float64
	// Ended is told of each attempt, when not nil.
	Ended func(kind protocol.JobKind, result meta.JobResult, took time.Duration)
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

const (
	defaultPoll  = 5 * time.Second
	defaultLease = 30 * time.Second
	backoffFirst = 5 * time.Second
	backoffLast  = time.Hour
	// restartBatch bounds the rows of one transaction.
	restartBatch = 256
)

// Queue runs jobs.
type Queue struct {
	cfg      Config
	log      *slog.Logger
	handlers map[protocol.JobKind]Handler
	// freed has word when an attempt ended.
	freed chan struct{}
	// abandoned: the leases of the dead were; prepared: periodic jobs were set
	// too. Run's alone.
	abandoned, prepared bool

	mu sync.Mutex
	// running are the attempts under way. Guarded by mu.
	running map[protocol.JobID]*Run
	wg      sync.WaitGroup
}

// New makes a Queue. Two handlers for a kind, or a periodic job without one, are
// an error.
func New(cfg Config) (*Queue, error) {
	if cfg.Poll <= 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	if cfg.Ended == nil {
		cfg.Ended = func(protocol.JobKind, meta.JobResult, time.Duration) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	q := &Queue{
		cfg: cfg, log: cfg.Logger, handlers: map[protocol.JobKind]Handler{},
		freed: make(chan struct{}, 1), running: map[protocol.JobID]*Run{},
	}
	for _, h := range cfg.Handlers {
		if _, twice := q.handlers[h.Kind]; twice || h.Kind == "" || h.Do == nil {
			return nil, fmt.Errorf("kind %q of jobs needs exactly one handler", h.Kind)
		}
		h.Concurrency = max(h.Concurrency, 1)
		if h.Lease <= 0 {
			h.Lease = defaultLease
		}
		if h.Backoff == nil {
			h.Backoff = q.backoff
		}
		q.handlers[h.Kind] = h
	}
	for _, p := range cfg.Periodic {
		if _, ok := q.handlers[p.Job.Kind]; !ok || p.Job.Subject == "" {
			return nil, fmt.Errorf("a periodic job of kind %q needs a handler and a subject", p.Job.Kind)
		}
	}
	return q, nil
}

// backoff doubles, and spreads what failed together.
func (q *Queue) backoff(attempt int) time.Duration {
	d := backoffFirst
	for ; attempt > 1 && d < backoffLast; attempt-- {
		d *= 2
	}
	return time.Duration(float64(min(d, backoffLast)) * (0.5 + q.cfg.Random()))
}

// Run runs jobs until ctx ends. Then it begins none, ends the contexts of those
// that run, and returns when their handlers did; their jobs wait again, at once
// and as if they had not been begun.
func (q *Queue) Run(ctx context.Context) {
	word, stop := q.cfg.Meta.JobHints()
	defer stop()
	defer q.drain()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failing := false; ; {
		wait, err := q.turn(ctx)
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != failing {
			if failing = err != nil; failing {
				q.log.Error("jobs cannot be looked for; it is tried again", "err", err)
			} else {
				q.log.Info("jobs are looked for again")
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-word:
		case <-q.freed:
		case <-timer.C:
		}
	}
}

// RunDue runs all that is due now, and what that makes due, and returns when
// nothing is left. Periodic jobs are not set.
func (q *Queue) RunDue(ctx context.Context) error {
	defer q.drain()
	for {
		if err := q.abandon(ctx); err != nil {
			return err
		}
		if _, err := q.begin(ctx); err != nil {
			return err
		}
		q.mu.Lock()
		idle := len(q.running) == 0
		q.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.freed:
		}
	}
}

func (q *Queue) drain() {
	q.mu.Lock()
	for _, r := range q.running {
		r.cancel(ErrDraining)
	}
	q.mu.Unlock()
	q.wg.Wait()
}

// turn begins what is due and gives how long there is nothing to do by itself.
func (q *Queue) turn(ctx context.Context) (wait time.Duration, err error) {
	if err := q.prepare(ctx); err != nil {
		return q.cfg.Poll, err
	}
	if err := q.endCancelled(ctx); err != nil {
		return q.cfg.Poll, err
	}
	return q.begin(ctx)
}

// begin is turn once all is prepared.
func (q *Queue) begin(ctx context.Context) (wait time.Duration, err error) {
	lines, err := q.cfg.Meta.JobLines(ctx, q.cfg.Holder, q.freeKinds())
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
	if q.abandoned || !q.cfg.Alone {
		return nil
	}
	_, err := q.cfg.Meta.AbandonLeases(ctx)
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
	jobs, err := q.cfg.Meta.LeaseJobs(ctx, q.cfg.Holder, line, h.Lease, n)
	for _, j := range jobs {
		q.start(ctx, h, j, now)
	}
	return err
}
