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
	AbandonLeases(ctx context.Context, node string) (int, error)
}

// Config is what a Queue needs.
type Config struct {
	Meta     Records
	Handlers []Handler
	Periodic []Periodic
	// Holder is this process.
	Holder meta.JobHolder
	// StandsAside says that this process is to leave jobs to others that they can do:
	// it takes those alone that are bound to its node, and gives back what it has of
	// the others. Nil: it never is.
	StandsAside func() bool
	// Alone: no other process runs jobs of the database, so that those that run
	// at the start are nobody's. Where it is not said, those are that earlier
	// processes of the holder's node left.
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
)

// Queue runs jobs.
type Queue struct {
	cfg      Config
	log      *slog.Logger
	handlers map[protocol.JobKind]Handler
	// freed has word when an attempt ended, from the moment it is not running.
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
	if cfg.StandsAside == nil {
		cfg.StandsAside = func() bool { return false }
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
		if q.idle() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.freed:
		}
	}
}

// idle is whether nothing runs and nothing ended since it was looked for what
// is due: what waited for its place is not overlooked.
func (q *Queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running) == 0 && len(q.freed) == 0
}

func (q *Queue) drain() {
	q.mu.Lock()
	for _, r := range q.running {
		r.cancel(ErrDraining)
	}
	q.mu.Unlock()
	q.wg.Wait()
}
