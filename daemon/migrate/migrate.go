// Package migrate moves what lies in one store to another while it is read.
//
// A migration closes its source first: new blobs that were to go there go to
// the target. Then it goes through the source's blobs, and moves the contents
// that lie in them one by one: their verified blocks are written to the target,
// read back there and compared, and the content's extents are flipped by
// compare-and-set. Readers see the same bytes before and after. It goes through
// the source again until nothing is left but what is damaged, and waits for the
// uploads that are still open there.
//
// Contents whose digest is not known have no record to compare with: it waits
// for their digest job, which reads them anyway.
//
// It can end anywhere. What was copied and not flipped is given up by the next
// attempt, and it goes on at the blob where it was.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Args say what a job of kind migrate moves.
type Args struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Rate is how many bytes a second at most, 0 for no limit.
	Rate int64 `json:"rate"`
}

// Records is what a Worker needs of the metadata; meta.DB is the one.
type Records interface {
	BeginMigration(ctx context.Context, from, to string) error
	Migrates(ctx context.Context, from, to string) (bool, error)
	CountStore(ctx context.Context, store string) (meta.StoreCount, error)
	DoomedInStore(ctx context.Context, store string) (int64, error)
	StoredBlobs(ctx context.Context, store string, after meta.BlobID, limit int) ([]meta.Stored, error)
	LeftInStore(ctx context.Context, store string, named int) (meta.Left, error)
	OpenInStore(ctx context.Context, store string) (int64, error)
	WritingInStore(ctx context.Context, store string) (int64, error)
	FilesOf(ctx context.Context, id meta.ContentID, limit int) ([]protocol.UID, error)
	Extents(ctx context.Context, id meta.ContentID) ([]meta.Extent, int64, error)
	AddJobBlob(ctx context.Context, b meta.NewBlob) (meta.BlobID, error)
	JobBlobs(ctx context.Context) ([]meta.Blob, error)
	DropBlob(ctx context.Context, id meta.BlobID) error
	MoveExtents(ctx context.Context, m meta.Move) error
	Jobs(ctx context.Context, owner protocol.Owner, q meta.JobQuery) ([]meta.Job, error)
	Enqueue(ctx context.Context, n meta.NewJob) (protocol.JobID, bool, error)
}

// Contents reads them; file.Service is the one.
type Contents interface {
	Through(ctx context.Context, id meta.ContentID) (*file.Reading, error)
}

// Placer chooses keys, and is told which stores are closed; placing.Placer is
// the one.
type Placer interface {
	Load(ctx context.Context) error
	Key(ctx context.Context, st *store.Store) (store.Key, error)
}

// Config is what a Worker needs.
type Config struct {
	Meta   Records
	Read   Contents
	Place  Placer
	Stores map[string]*store.Store
	// Reach is nil where a store can be used now.
	Reach func(ctx context.Context, st *store.Store) error
	// Instance gives the instance that is called name, and whether another node has
	// it; nil where there are no other nodes. Instances are this node's, by the
	// configured names, and Disks those of them that only it reaches.
	Instance  func(ctx context.Context, name string) (instance string, elsewhere bool, err error)
	Instances map[string]string
	Disks     map[string]bool
	// Lacking says which of the other nodes do not have a store that all are to
	// share; nil where there are none.
	Lacking func(ctx context.Context, store string) ([]string, error)
	// Digest is the job that finds out digests that are not known of what lies in a
	// store.
	Digest func(store string) meta.NewJob
	// Pace makes what holds a migration of so many bytes a second back.
	Pace func(rate int64) *pace.Pace
	// Grace is how long the objects stay of which nothing is needed any more.
	Grace time.Duration
	// ObjectMax is how large one object of the target becomes at most, a number
	// of whole blocks; 1 GiB where 0.
	ObjectMax int64
	// Pause is how long a migration waits that has something to wait for, 5 s
	// where 0.
	Pause time.Duration
	// Now is time.Now when nil, Logger slog.Default().
	Now    func() time.Time
	Logger *slog.Logger
}

const (
	defaultObjectMax = 1 << 30
	defaultPause     = 5 * time.Second
	// pauseMax bounds the pauses after failures, which double, and waitsMax how
	// many there may be in a row: it is about a day.
	pauseMax = 5 * time.Minute
	waitsMax = 300
	// idleMax bounds the pauses of one that waits for others, which double, too.
	idleMax = time.Minute
	// page is how many blobs are listed at once.
	page = 64
	// atOnce bounds what is copied at once: so many contents of a block, and a
	// larger one for each largeWeight.
	atOnce      = 8
	largeWeight = 4
	// saveEvery is how often it is recorded where a migration is.
	saveEvery = 2 * time.Second
	// endTimeout bounds what is left to do where the context has ended.
	endTimeout = 5 * time.Second
)

// Worker does migrations. Its methods are safe for concurrent use.
type Worker struct {
	cfg Config
	log *slog.Logger
}

// New makes a Worker.
func New(cfg Config) *Worker {
	if cfg.ObjectMax <= 0 {
		cfg.ObjectMax = defaultObjectMax
	}
	if cfg.Pause <= 0 {
		cfg.Pause = defaultPause
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Worker{cfg: cfg, log: cfg.Logger}
}

// Do is the handler of the job.
func (w *Worker) Do(ctx context.Context, r *job.Run, args Args) error {
	m := newMigration(w, r, args)
	switch {
	case m.from != nil && m.to != nil:
	case w.cfg.Instance != nil: // some other node may have them
		m.tell("waits for a node that has both stores")
		return job.Snooze(w.cfg.Pause)
	default:
		return job.Hopeless(fmt.Errorf("there is no store %s or no store %s in the configuration", args.From, args.To))
	}
	if w.strands(args) {
		return job.Hopeless(stranded(args))
	}
	lacking, err := w.lacking(ctx, args)
	if err != nil {
		return err
	}
	if len(lacking) > 0 {
		m.tell("waits until all nodes have store " + args.To + ": " + strings.Join(lacking, ", "))
		return job.Snooze(w.cfg.Pause)
	}
	found, err := r.Saved(&m.at)
	if err != nil {
		return err
	}
	if !found {
		m.at.Began = w.cfg.Now().UnixMilli()
	}
	m.goOn(found)
	m.movedBefore = m.at.Contents
	err = m.run(ctx)
	if ctx.Err() != nil {
		m.saveAtEnd(ctx)
		if errors.Is(context.Cause(ctx), job.ErrCancelled) {
			m.said(ctx, "a migration was cancelled; what was moved stays moved, and the source closed")
		}
		return context.Cause(ctx)
	}
	var later *waiting
	var other *yields
	switch {
	case err == nil:
		return nil
	case errors.As(err, &later):
		return m.idle(ctx, later.why)
	case errors.Is(err, meta.ErrLeaseLost):
		return err
	case errors.As(err, &other):
		return job.Hopeless(other.to)
	}
	return m.failed(ctx, err)
}

// inTheWay is a migration that is not over and of one of these stores, the
// oldest there is.
func (w *Worker) inTheWay(ctx context.Context, args Args) (*meta.Job, error) {
	var oldest *meta.Job
	for _, state := range [...]protocol.JobState{protocol.JobReady, protocol.JobRunning} {
		jobs, err := w.cfg.Meta.Jobs(ctx, meta.AnyOwner, meta.JobQuery{Limit: 1000, State: state, Kind: protocol.JobMigrate})
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			if touches(j, args) && (oldest == nil || j.ID < oldest.ID) {
				oldest = &j
			}
		}
	}
	return oldest, nil
}
