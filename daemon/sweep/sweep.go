// Package sweep makes what is deleted, expired or abandoned go away, and
// nothing else ever (DESIGN section 6). A Loop runs rounds; a round ends what
// is past its time, dooms what nothing refers to, deletes the objects of what
// was doomed a grace period ago, and forgets rows that are of no use any more.
//
// The decisions are the metadata's, each in a transaction of its own; only
// after one that dooms a blob for good does its object go. So a round can end
// anywhere, and the next one goes on. Scrubs that were asked for run beside the
// rounds: reading terabytes keeps nothing from being freed.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Records is what the sweep needs of the metadata; meta.DB is the one.
type Records interface {
	ClockKept(ctx context.Context) (time.Time, error)
	KeepClock(ctx context.Context, now time.Time) error
	RestartTimers(ctx context.Context, limit int) (int, error)
	ExpireFiles(ctx context.Context, now time.Time, limit int) (int, error)
	AbandonUploads(ctx context.Context, touchedBefore time.Time, limit int) (int, error)
	DoomOffered(ctx context.Context, limit int) (int, error)
	DoomOrphans(ctx context.Context, limit int) (int, error)
	Doomed(ctx context.Context, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error)
	MarkGone(ctx context.Context, blobs []meta.BlobID) error
	Tombstones(ctx context.Context, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error)
	RemoveTombstones(ctx context.Context, blobs []meta.BlobID) error
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
	DueJobs(ctx context.Context, kind protocol.JobKind, limit int) ([]meta.Job, error)
	FinishJob(ctx context.Context, id protocol.JobID, failure string) error
}

// Config is what a Loop needs.
type Config struct {
	Meta Records
	// Stores by name hold the blobs.
	Stores map[string]*store.Store
	// Scrub reads a content through and records damage. Damage it finds is
	// protocol.KindContentCorrupt, a content that is gone no error.
	Scrub func(ctx context.Context, content meta.ContentID) error
	// Interval is from the end of a round to the next, a minute when 0.
	Interval time.Duration
	// Grace is how long the object of a doomed blob stays; 0 is none.
	Grace time.Duration
	// AbandonAfter is how long an upload lives after its last part began, 7
	// days when 0.
	AbandonAfter time.Duration
	// Alone: no other process writes to the stores, and none that was cut off
	// can. Every object of a tombstone is then deleted again at once, not only
	// when its day is over.
	Alone bool
	// Clock is the wall clock, Uptime one that is never set; both are the
	// system's when nil.
	Clock  func() time.Time
	Uptime func() time.Duration
	// ClockIsRight: somebody vouches for the clock at the start. Without it one
	// that is more than an hour from the last round's holds for an hour.
	ClockIsRight bool
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

const (
	defaultInterval     = time.Minute
	defaultAbandonAfter = 7 * 24 * time.Hour
	// keepRows is how long tombstones stay, and the rows of what has ended.
	keepRows = 24 * time.Hour
	// batch bounds the rows of one transaction.
	batch = 256
	// scrubsARound is how many contents each round has read.
	scrubsARound = 4
)

// Report is what a round did.
type Report struct {
	// Held says why nothing was removed, "" when it was not so.
	Held string `json:"held"`
	// Expired counts files and open uploads past their time, Abandoned
	// uploads that nobody sent to.
	Expired   int `json:"expired"`
	Abandoned int `json:"abandoned"`
	// Looked counts the blobs that were offered and looked at, Orphans those
	// doomed since their writer was gone.
	Looked  int `json:"looked"`
	Orphans int `json:"orphans"`
	// Deleted and Bytes are of objects deleted; Failed is how many could not
	// be, which the next round tries again.
	Deleted int   `json:"deleted"`
	Bytes   int64 `json:"bytes"`
	Failed  int   `json:"failed"`
	// Forgotten counts tombstones, Pruned rows of other things, removed.
	Forgotten int `json:"forgotten"`
	Pruned    int `json:"pruned"`
	// Scrubbed counts contents read through, Damaged those of them that are
	// damaged.
	Scrubbed int `json:"scrubbed"`
	Damaged  int `json:"damaged"`
}

// Loop runs rounds. Its methods are safe for concurrent use.
type Loop struct {
	cfg   Config
	log   *slog.Logger
	clock *watch
	wake  chan struct{}

	// told is what the log says of why nothing is removed; Run's alone.
	told string

	// due tells the goroutine that scrubs that a round began.
	due chan struct{}
	// scrubs is held while contents are read, so that none is by two.
	scrubs sync.Mutex

	round sync.Mutex // held while a round frees; scrubs are not part of that
	// judged: the clock at the start was. Guarded by round.
	judged bool
	// failing are the stores that fail to delete, as the log knows. Guarded by
	// round; while a round deletes, by its mu.
	failing map[string]bool
}

// New makes a Loop; the clock is watched from now on.
func New(cfg Config) *Loop {
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.AbandonAfter <= 0 {
		cfg.AbandonAfter = defaultAbandonAfter
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Loop{
		cfg: cfg, log: cfg.Logger, clock: newWatch(cfg.Clock, cfg.Uptime),
		wake: make(chan struct{}, 1), due: make(chan struct{}, 1), failing: map[string]bool{},
	}
}

// Run runs rounds until ctx ends: one at once, then one each interval, or
// earlier when woken. Scrubs run beside them, and have ended when Run returns.
func (l *Loop) Run(ctx context.Context) {
	var scrubs sync.WaitGroup
	defer scrubs.Wait()
	scrubs.Go(func() { l.scrubAll(ctx) })
	timer := time.NewTimer(l.cfg.Interval)
	defer timer.Stop()
	for {
		raise(l.due)
		r, err := l.free(ctx)
		if ctx.Err() != nil {
			return
		}
		l.tell(r, err)
		timer.Reset(l.cfg.Interval)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
	}
}

// tell logs what a round did, where it did something.
func (l *Loop) tell(r Report, err error) {
	if err != nil {
		l.log.Error("a round of the sweep failed in part; the next one goes on", "err", err)
	}
	if r.Held != l.told {
		if l.told = r.Held; r.Held != "" {
			l.log.Warn("the sweep waits", "why", r.Held)
		}
	}
	if r != (Report{Held: r.Held, Failed: r.Failed}) {
		l.log.Info("swept", "report", r)
	}
}

// scrubAll reads what is due each time a round begins, until ctx ends.
func (l *Loop) scrubAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.due:
		}
		scrubbed, damaged, err := l.scrub(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.log.Error("scrubs failed in part; the next round tries again", "err", err)
		}
		if scrubbed > 0 {
			l.log.Info("scrubbed", "contents", scrubbed, "damaged", damaged)
		}
	}
}

// Wake has the next round begin now.
func (l *Loop) Wake() { raise(l.wake) }

// raise leaves word in a channel of one place, once however often.
func raise(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Held says why nothing is removed now, "" when it is not so.
func (l *Loop) Held() string {
	_, held := l.clock.look()
	return held
}

// JudgeClock compares the clock with that of the last round before the start,
// which Held tells of then. The first round does it otherwise.
func (l *Loop) JudgeClock(ctx context.Context) error {
	l.round.Lock()
	defer l.round.Unlock()
	return l.judge(ctx)
}

// judge is JudgeClock for who holds round.
func (l *Loop) judge(ctx context.Context) error {
	if l.judged || l.cfg.ClockIsRight {
		return nil
	}
	kept, err := l.cfg.Meta.ClockKept(ctx)
	if err != nil {
		return fmt.Errorf("judge the clock; nothing was removed: %w", err)
	}
	if !kept.IsZero() {
		l.clock.start(kept)
	}
	l.judged = true
	return nil
}

// Round does everything that is due now, the scrubs last. What fails does not
// keep the rest from being done; the error tells of all of it but of objects
// that could not be deleted, which the report counts and the log names.
func (l *Loop) Round(ctx context.Context) (r Report, err error) {
	r, err = l.free(ctx)
	if ctx.Err() != nil {
		return r, err
	}
	scrubbed, damaged, failed := l.scrub(ctx)
	r.Scrubbed, r.Damaged = scrubbed, damaged
	if failed != nil {
		err = errors.Join(err, fmt.Errorf("scrub: %w", failed))
	}
	return r, err
}

// free is a round without its scrubs.
func (l *Loop) free(ctx context.Context) (Report, error) {
	l.round.Lock()
	defer l.round.Unlock()
	if err := l.judge(ctx); err != nil {
		return Report{}, err
	}
	r := &round{Loop: l, deleted: map[string]int{}, failures: map[string]int{}}
	var errs []error
	for _, step := range []struct {
		name string
		do   func(context.Context, time.Time) error
	}{
		{"keep the time", r.cfg.Meta.KeepClock},
		{"start timers anew", r.restartTimers},
		{"expire files", r.expire},
		{"abandon uploads", r.abandon},
		{"doom blobs", r.doom},
		{"delete objects", r.delete},
		{"remove tombstones", r.bury},
		{"prune", r.prune},
	} {
		// Each step looks at the clock, which may be set at any time.
		now, held := l.clock.look()
		if held != "" {
			r.report.Held = held
			break
		}
		if err := step.do(ctx, now); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", step.name, err))
		}
		if ctx.Err() != nil {
			return r.report, context.Cause(ctx)
		}
	}
	r.recovered()
	return r.report, errors.Join(errs...)
}
