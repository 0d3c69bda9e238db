// Package sweep makes what is deleted, expired or abandoned go away, and
// nothing else ever (DESIGN section 6). A Sweeper expires: it ends what is past
// its time; and sweeps: it dooms what nothing refers to, deletes the objects of
// what was doomed a grace period ago, and forgets rows that are of no use any
// more. Both are jobs that come again and again (daemon/jobs.go).
//
// The decisions are the metadata's, each in a transaction of its own; only
// after one that dooms a blob for good does its object go. So a round can end
// anywhere, and the next one goes on.
package sweep

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
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
	DoomRequests(ctx context.Context, limit int) (int, error)
	NamedStores(ctx context.Context) ([]string, error)
	Doomed(ctx context.Context, in string, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error)
	MarkGone(ctx context.Context, blobs []meta.BlobID) error
	Tombstones(ctx context.Context, in string, before time.Time, after *meta.Blob, limit int) ([]meta.Blob, error)
	RemoveTombstones(ctx context.Context, blobs []meta.BlobID) error
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
	PruneEvents(ctx context.Context, now time.Time, keep time.Duration, limit int) (int, error)
	PruneLinks(ctx context.Context, retired, revoked time.Time, limit int) (int, error)
	PruneWebhooks(ctx context.Context, waiting, dead time.Time, limit int) (int, error)
	PruneNodes(ctx context.Context) (int, error)
	NotifyWaiting(ctx context.Context) error
	StoreKnown(ctx context.Context, name string) (bool, error)
	Composing(ctx context.Context, store, key, id string) (bool, error)
	NamesObject(ctx context.Context, store, key string) (bool, error)
}

// Config is what a Sweeper needs.
type Config struct {
	Meta Records
	// Stores by name hold the blobs.
	Stores map[string]*store.Store
	// Disks are those of Stores that are on this node's own disk and are swept by
	// SweepDisks alone, while other nodes may be beside it; none where nil.
	Disks map[string]bool
	// Elsewhere reports whether a store that is not among Stores is for other nodes
	// to sweep. Where it is nil none is.
	Elsewhere func(ctx context.Context, store string) (bool, error)
	// Grace is how long the object of a doomed blob stays; 0 is none.
	Grace time.Duration
	// AbandonAfter is how long an upload lives after its last part began, 7
	// days when 0.
	AbandonAfter time.Duration
	// KeepEvents is how long events stay that all consumers have handled, 7 days
	// when 0.
	KeepEvents time.Duration
	// GiveUpAfter is how long an event is on its way to a webhook, 3 days when 0.
	GiveUpAfter time.Duration
	// Alone: no other process writes to the stores, and none that was cut off
	// can. Every object of a tombstone is then deleted again at once, not only
	// when its day is over, and what requests were writing is nobody's.
	Alone bool
	// Clock is the wall clock, Uptime one that is never set; both are the
	// system's when nil.
	Clock  func() time.Time
	Uptime func() time.Duration
	// ClockIsRight: somebody vouches for the clock at the start. Without it one
	// that is more than an hour from the last round's holds for an hour.
	ClockIsRight bool
	// Hold says why nothing is to be removed now for another reason, "" without,
	// unless somebody vouches for the clock. nil is none.
	Hold func() string
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

const (
	defaultAbandonAfter = 7 * 24 * time.Hour
	defaultKeepEvents   = 7 * 24 * time.Hour
	defaultGiveUpAfter  = 3 * 24 * time.Hour
	// giveUpSlack is how much longer an event may wait that was never tried.
	giveUpSlack = time.Hour
	// keepDead is how long what webhooks were not sent can be replayed.
	keepDead = 30 * 24 * time.Hour
	// keepRows is how long tombstones stay, and the rows of what has ended.
	keepRows = 24 * time.Hour
	// keepRevoked is how long revocations of links stay: longer than any link
	// is good.
	keepRevoked = 367 * 24 * time.Hour
	// batch bounds the rows of one transaction.
	batch = 256
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
	// Unfinished counts uploads that were begun in stores, and of which no blob
	// told, ended.
	Unfinished int `json:"unfinished"`
	// Forgotten counts tombstones, Pruned rows of other things, removed.
	Forgotten int `json:"forgotten"`
	Pruned    int `json:"pruned"`
}

// Sweeper expires and sweeps. Its methods are safe for concurrent use.
type Sweeper struct {
	cfg   Config
	log   *slog.Logger
	clock *watch

	judging sync.Mutex
	// judged: the clock at the start was. Guarded by judging.
	judged bool

	// sweeping is held while objects are deleted.
	sweeping sync.Mutex
	// lookedAt is when each store was asked last for what was not finished in it.
	// Guarded by sweeping.
	lookedAt map[string]time.Time
	// failing are the stores that fail to delete, as the log knows. Guarded by
	// sweeping; while a round deletes, by its mu.
	failing map[string]bool

	telling sync.Mutex
	// told is what the log says of why nothing is removed. Guarded by telling.
	told string
}

// New makes a Sweeper; the clock is watched from now on.
func New(cfg Config) *Sweeper {
	if cfg.AbandonAfter <= 0 {
		cfg.AbandonAfter = defaultAbandonAfter
	}
	if cfg.GiveUpAfter <= 0 {
		cfg.GiveUpAfter = defaultGiveUpAfter
	}
	if cfg.KeepEvents <= 0 {
		cfg.KeepEvents = defaultKeepEvents
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Sweeper{cfg: cfg, log: cfg.Logger, clock: newWatch(cfg.Clock, cfg.Uptime), failing: map[string]bool{}, lookedAt: map[string]time.Time{}}
}

// Tell logs what was done, where something was, and why nothing is removed.
func (s *Sweeper) Tell(r Report) {
	s.telling.Lock()
	defer s.telling.Unlock()
	if r.Held != s.told {
		if s.told = r.Held; r.Held != "" {
			s.log.Warn("the sweep waits", "why", r.Held)
		}
	}
	if r != (Report{Held: r.Held, Failed: r.Failed}) {
		s.log.Info("swept", "report", r)
	}
}

// Held says why nothing is removed now, "" when it is not so.
func (s *Sweeper) Held() string {
	_, held := s.look()
	return held
}

// look is the time, and why nothing is removed by it, "" where it is.
func (s *Sweeper) look() (now time.Time, held string) {
	now, held = s.clock.look()
	if held == "" && s.cfg.Hold != nil && !s.cfg.ClockIsRight {
		held = s.cfg.Hold()
	}
	return now, held
}

// JudgeClock compares the clock with that of the last round before the start,
// which Held tells of then. The first round does it otherwise.
func (s *Sweeper) JudgeClock(ctx context.Context) error {
	s.judging.Lock()
	defer s.judging.Unlock()
	if s.judged || s.cfg.ClockIsRight {
		return nil
	}
	kept, err := s.cfg.Meta.ClockKept(ctx)
	if err != nil {
		return fmt.Errorf("judge the clock; nothing was removed: %w", err)
	}
	if !kept.IsZero() {
		s.clock.start(kept)
	}
	s.judged = true
	return nil
}

// step is a part of a round.
type step struct {
	name string
	do   func(context.Context, time.Time) error
}

// Expire ends what is past its time: files and uploads that expire, uploads
// that nobody sends to. What fails does not keep the rest from being done; the
// error tells of all of it.
func (s *Sweeper) Expire(ctx context.Context) (Report, error) {
	r := newRound(s)
	err := r.run(ctx, r.expiring())
	return r.report, err
}

// Sweep frees what nothing refers to any more, but for the objects on the disks of
// nodes. The error is like that of
// Expire, but for objects that could not be deleted: the report counts them, and
// the log names one.
func (s *Sweeper) Sweep(ctx context.Context) (Report, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	r := newRound(s)
	r.scope = shared
	err := r.run(ctx, r.sweeping())
	r.recovered()
	return r.report, err
}

// Round is Expire and then Sweep, the objects on this node's own disks among it.
func (s *Sweeper) Round(ctx context.Context) (Report, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	r := newRound(s)
	err := r.run(ctx, append(r.expiring(), r.sweeping()[1:]...))
	r.recovered()
	return r.report, err
}
