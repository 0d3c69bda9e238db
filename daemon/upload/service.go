// Package upload is the write side of ospd: it begins uploads, receives parts,
// commits them into files and takes small files whole.
//
// A part's way: PutPart claims a place for it (target.go), receives the bytes
// while hashing them (receive.go), and records it. A session (session.go)
// holds what an open upload needs between requests: who is writing which part,
// the descriptors of its blobs, and how much is not yet synced (sync.go).
// Commit (commit.go) checks the recorded parts, syncs, and publishes them in
// one transaction; no byte moves.
package upload

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Config is what a Service needs. Zero limits mean the defaults named.
type Config struct {
	Meta   *meta.DB
	Minter *meta.Minter
	// Store takes new blobs; Stores are all that hold any, by name. Place
	// chooses the keys, and the store where new blobs of Store go elsewhere; the
	// service has one of its own when nil.
	Store  *store.Store
	Stores map[string]*store.Store
	Place  *placing.Placer
	// Node is this node, "" where no other can ever be beside it: the home of
	// uploads whose bytes come to lie on its own disk.
	Node meta.NodeID
	// Down reports whether the node that has what is elsewhere is known not to
	// answer now. Where it is nil none is.
	Down func(*holder.Elsewhere) bool
	// Choose is the node where something new of that size (-1: not known) is put; ""
	// is this one, and so is every one where Choose is nil.
	Choose func(size int64) meta.NodeID
	// Holds makes sure that what this process writes in its stores is its own to
	// write, and for longer than endingTime: an error where another may be at work in
	// them, which Close then leaves to it. Nil: nobody can be.
	Holds func(ctx context.Context) error
	// BootID names this boot of this machine: bytes written in another one
	// are verified before they count. Without one, every process is taken for
	// a boot of its own.
	BootID string
	// MaxSize is the largest file, at most and by default protocol.MaxSize.
	MaxSize int64
	// Unsynced is how many bytes of one upload may wait for a sync before its
	// writers wait, 64 MiB by default.
	Unsynced int64
	// Shared says that other processes take parts too, and are to see when one
	// runs here.
	Shared bool
	// AbandonAfter is how long an upload lives after its last part began, 7
	// days by default.
	AbandonAfter time.Duration
	// IdleAfter is how long the descriptors of an upload nobody writes to are
	// kept, 30 s by default.
	IdleAfter time.Duration
	// Instant is whose contents a claim reaches; ScopeOff by default. Other
	// scopes need Sample, which reads what a proof is checked against.
	Instant meta.Scope
	Sample  Sampler
	// ClaimFailures is how many proofs of one subject may fail in an hour, 10
	// by default.
	ClaimFailures int
	Clock         func() time.Time
	Logger        *slog.Logger
	// Once are the keys that requests bring, the service's own when nil.
	Once *once.Keys
	// Observe is told what became of each upload: "begun", "committed",
	// "instant", "aborted", "put". It may be nil.
	Observe func(outcome string)
	// Committed is told that a file was committed. It may be nil.
	Committed func()
	// Digests are the digest jobs, for which AwaitDigests waits, PutTwins for
	// TwinsWait at most, 5 s by default; nil where none run.
	Digests   Digests
	TwinsWait time.Duration
	// Saved is told how many bytes an instant upload did not have to send. It
	// may be nil.
	Saved func(bytes int64)
}

const (
	defaultUnsynced     = 64 << 20
	defaultAbandonAfter = 7 * 24 * time.Hour
	defaultIdleAfter    = 30 * time.Second
	// defaultClaimFailures bounds guessing at a content by its digest.
	defaultClaimFailures = 10
	// endingTime bounds what Close does in the stores: less than what a lease on the
	// database lasts, so that nobody can have taken this process's place by then.
	endingTime = 20 * time.Second
	// busyFor is how long after a part request ended its upload is not given
	// to another beginner (DESIGN.md section 4).
	busyFor = 5 * time.Second
	// clocksApart is how far the clocks of those may lie apart who note when an
	// upload was sent to.
	clocksApart = time.Minute
)

// Service is the write side. Its methods are safe for concurrent use.
type Service struct {
	cfg      Config
	db       *meta.DB
	log      *slog.Logger
	now      func() time.Time
	place    *placing.Placer
	unnamed  unnamed
	sessions *sessions
	once     *once.Keys
	// doubted: the database failed while it recorded a small file, so that
	// whether the file is there is known after a restart.
	doubted atomic.Bool
	// claims keeps the second rounds of one upload's claims apart.
	claims   *once.Locks
	failures limiter
	// rewrites hold each link to a number of times that it sends other bytes than
	// it did before.
	rewrites limiter
	awaiting *awaiting
	// scratches are *scratch, for running requests.
	scratches sync.Pool
}

// New makes a Service and starts the goroutine that lets idle descriptors go;
// Close ends it.
func New(cfg Config) *Service {
	if cfg.MaxSize <= 0 || cfg.MaxSize > protocol.MaxSize {
		cfg.MaxSize = protocol.MaxSize
	}
	if cfg.Unsynced <= 0 {
		cfg.Unsynced = defaultUnsynced
	}
	if cfg.AbandonAfter <= 0 {
		cfg.AbandonAfter = defaultAbandonAfter
	}
	if cfg.IdleAfter <= 0 {
		cfg.IdleAfter = defaultIdleAfter
	}
	if cfg.Instant == "" {
		cfg.Instant = meta.ScopeOff
	}
	if cfg.TwinsWait <= 0 {
		cfg.TwinsWait = defaultTwinsWait
	}
	if cfg.ClaimFailures <= 0 {
		cfg.ClaimFailures = defaultClaimFailures
	}
	if cfg.BootID == "" {
		cfg.BootID = rand.Text()
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Holds == nil {
		cfg.Holds = func(context.Context) error { return nil }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string) {}
	}
	if cfg.Place == nil {
		into := ""
		if cfg.Store != nil { // who only settles what was left makes no blobs
			into = cfg.Store.Name()
		}
		cfg.Place = placing.New(cfg.Meta, cfg.Stores, into)
	}
	if cfg.Once == nil {
		cfg.Once = once.NewKeys(cfg.Meta)
	}
	if cfg.Committed == nil {
		cfg.Committed = func() {}
	}
	if cfg.Saved == nil {
		cfg.Saved = func(int64) {}
	}
	s := &Service{
		cfg: cfg, db: cfg.Meta, log: cfg.Logger, now: cfg.Clock, place: cfg.Place,
		once: cfg.Once, claims: once.NewLocks(),
		awaiting: newAwaiting(),
	}
	s.failures = s.newLimiter(cfg.ClaimFailures, refusal{"too many proofs failed within an hour; no claim is looked at until then",
		"Go on as a plain upload: send the parts."})
	s.rewrites = s.newLimiter(linkRewrites, refusal{"by this link other bytes than before were sent too often within an hour; nothing is taken until then",
		"Ask who gave it to you for a new one."})
	s.scratches.New = newScratch
	s.sessions = newSessions(s)
	return s
}

// Close waits for running syncs, then closes the descriptors of open uploads.
// Requests must have ended. The uploads themselves stay and can be resumed.
//
// Where nothing is under way the reservations of directories end, so that from
// then on an object without a row is damage and no leftover. Where another process
// has this one's place it is at work in them: what has no row may be what it writes
// now.
func (s *Service) Close() error {
	if err := s.sessions.close(); err != nil || !s.unnamed.close() {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), endingTime)
	defer cancel()
	if s.doubted.Load() || s.db.Ping(ctx) != nil {
		// A file may turn out to be recorded when the database is opened
		// again: only then is it known which objects have no row.
		return nil
	}
	if err := s.cfg.Holds(ctx); err != nil {
		s.log.Warn("the reservations of directories are left to whoever is at work in them", "err", err)
		return nil
	}
	if _, err := s.Settle(ctx); err != nil {
		s.log.Warn("end the reservations of directories; the next start does", "err", err)
	}
	return nil
}

// Upload describes an upload with the parts that are held for certain: parts
// that another boot of the machine left unsynced are verified first.
func (s *Service) Upload(ctx context.Context, owner protocol.Owner, uid protocol.UID) (protocol.Upload, error) {
	for {
		up, err := s.db.Upload(ctx, owner, uid)
		if err != nil {
			return protocol.Upload{}, err
		}
		u, err := s.describe(ctx, up)
		if protocol.KindOf(err) != protocol.KindCommitted {
			return u, err
		}
		// Committed between the two looks; the next one shows it.
	}
}

// describe makes the wire's Upload of a recorded one.
func (s *Service) describe(ctx context.Context, up meta.Upload) (protocol.Upload, error) {
	u := s.wire(up)
	if up.State != protocol.UploadOpen {
		return u, nil
	}
	if up.Chunks {
		u.Parts = []protocol.Part{} // chunks are none
		return u, nil
	}
	parts, _, err := s.heldParts(ctx, up)
	if err != nil {
		return protocol.Upload{}, err
	}
	u.Parts = wireParts(parts)
	return u, nil
}

// wire is up without its parts.
func (s *Service) wire(up meta.Upload) protocol.Upload {
	return protocol.Upload{
		UID: up.UID, State: up.State, Name: up.Name, Size: up.Size, PartSize: up.PartSize,
		MediaType: up.MediaType, Meta: up.Meta, CreatedAt: protocol.TimeOf(up.CreatedAt),
		AbandonedAt: protocol.TimeOf(up.TouchedAt.Add(s.cfg.AbandonAfter)), Maybe: up.Maybe, File: up.File,
	}
}

func wireParts(parts []meta.Part) []protocol.Part {
	out := make([]protocol.Part, len(parts))
	for i, p := range parts {
		out[i] = protocol.Part{Number: p.Number, Offset: p.Offset, Length: p.Length, XXH3: p.XXH3}
	}
	return out
}

// Abort gives an open upload up; what it stored is freed by the sweep.
func (s *Service) Abort(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	up, err := s.db.Upload(ctx, owner, uid)
	if err == nil {
		err = s.here(up)
	}
	if err != nil {
		return err
	}
	if err := s.db.AbortUpload(ctx, owner, uid); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.AbortRecorded)
	s.sessions.forget(uid, 0)
	s.cfg.Observe("aborted")
	return nil
}
