// Package digest does what is left to do for a File when it is committed: it
// reads the content through, once, and computes what nobody needed before. That
// is the plain SHA-256 and MD5, the media type where the caller gave none, and
// the size of an image; and of contents whose digest was not known at commit that
// and the records of their blocks, too.
//
// Files are due by a column of their own rows, set by the transaction that
// commits them. One job looks at all that are due and ends; Wake and a periodic
// job have it come again. So nothing is lost whatever dies, and nothing is read
// twice but what was being read.
package digest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
)

// Records is what a Worker needs of the metadata; meta.DB is the one.
type Records interface {
	DueDigestsIn(ctx context.Context, stores []string, limit int) ([]meta.DigestDue, error)
	RecordFindings(ctx context.Context, found []meta.FoundOut, done []meta.DigestDue) error
	FillDigest(ctx context.Context, f meta.Filled) error
	PutOffDigests(ctx context.Context, uids []protocol.UID, after time.Duration) error
	LeaveDigests(ctx context.Context, uids []protocol.UID, reads []string) error
	WantDigests(ctx context.Context, store string, limit int) (int, error)
	DigestStores(ctx context.Context) ([]string, error)
	Enqueue(ctx context.Context, n meta.NewJob) (protocol.JobID, bool, error)
}

// Contents reads them; file.Service is the one.
type Contents interface {
	Through(ctx context.Context, id meta.ContentID) (*file.Reading, error)
	Unrecorded(ctx context.Context, id meta.ContentID, pass func() func([]byte) error) (gen int64, err error)
}

// Config is what a Worker needs.
type Config struct {
	Meta Records
	Read Contents
	// Stores are those whose contents are read for their own sake. Contents
	// whose digest is not known are read wherever they lie.
	Stores []string
	// Node is this node of a cluster, Disks the stores on its own disk, whose
	// contents a job that is bound to it looks at, and Shared those that all nodes
	// reach. Node is "" where there are no others, and then one job looks at all.
	Node          meta.NodeID
	Disks, Shared []string
	// Pace holds the reading back.
	Pace *pace.Pace
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

const (
	// batch bounds the files that are looked at before what was found is
	// recorded, batchBytes what is read for them.
	batch      = 64
	batchBytes = 64 << 20
	// retryAway is after how long a content is tried again that cannot be read
	// now, retryDamaged one that is damaged: it may have been healed.
	retryAway    = 5 * time.Minute
	retryDamaged = time.Hour
	// gather is how long a job waits for more files after the one that woke it,
	// and how long it is at least from one to the next.
	gather = time.Second
	// wantBatch bounds the rows of one transaction.
	wantBatch = 256
)

// Subject is that of the job, of which one runs at a time.
const Subject = "due"

// Job is the job that looks at what is due.
func Job() meta.NewJob {
	return meta.NewJob{Kind: protocol.JobDigest, Subject: Subject, Priority: protocol.PriorityIdle}
}

// JobOn is the job that looks at what is due and lies on the disks of a node.
func JobOn(node meta.NodeID) meta.NewJob {
	n := Job()
	n.Subject, n.Node = Subject+" on node "+string(node), string(node)
	return n
}

// Worker does digest jobs. Its methods are safe for concurrent use.
type Worker struct {
	cfg Config
	log *slog.Logger

	// woken has word of Wake.
	woken chan struct{}

	mu sync.Mutex
	// looked is closed when files were looked at, and made anew. Guarded by mu.
	looked chan struct{}
}

// New makes a Worker.
func New(cfg Config) *Worker {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Stores = slices.Clone(cfg.Stores)
	return &Worker{cfg: cfg, log: cfg.Logger, woken: make(chan struct{}, 1), looked: make(chan struct{})}
}

// Wake has a job look, about a second from now, at what is due; it is called
// after a File was committed, and waits for nothing.
func (w *Worker) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// Looked gives what is closed once more files were looked at by this process,
// and what was found is recorded.
func (w *Worker) Looked() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looked
}

func (w *Worker) tellLooked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.looked)
	w.looked = make(chan struct{})
}

// Run enqueues a job for Wake, one a second at most, until ctx ends. A job that
// could not be enqueued is missed by nobody: the next one looks at all that is
// due.
func (w *Worker) Run(ctx context.Context) {
	jobs := []meta.NewJob{Job()}
	if w.cfg.Node != "" {
		jobs = append(jobs, JobOn(w.cfg.Node))
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.woken:
		}
		for _, n := range jobs {
			n.After = gather
			if _, _, err := w.cfg.Meta.Enqueue(ctx, n); err != nil && ctx.Err() == nil {
				w.log.Warn("a digest job could not be enqueued; what is due waits for the periodic one", "err", err)
			}
		}
		timer.Reset(gather)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// Do is the handler of the job.
func (w *Worker) Do(ctx context.Context, r *job.Run) error {
	stores := w.storesOf(r.Job)
	if err := w.wantLeft(ctx, stores); err != nil {
		return err
	}
	var done tally
	k := newKeeper(r)
	for {
		due, err := w.cfg.Meta.DueDigestsIn(ctx, stores, batch)
		if err != nil || len(due) == 0 {
			return err
		}
		for len(due) > 0 {
			var n int
			if n, err = w.look(ctx, due, k, &done, func() { r.Progress(done.progress()) }); err != nil {
				return err
			}
			due = due[n:]
		}
	}
}

// storesOf are those at whose contents a job looks, nil for all.
func (w *Worker) storesOf(j meta.Job) []string {
	switch {
	case w.cfg.Node == "":
		return nil
	case j.Node != "":
		return w.cfg.Disks
	}
	return append([]string{}, w.cfg.Shared...) // which is not nil
}

// tally is what a job did.
type tally struct {
	files int
	bytes int64
}

func (t tally) progress() protocol.JobProgress {
	return protocol.JobProgress{Done: t.bytes, Unit: "bytes", Note: fmt.Sprintf("%d files looked at", t.files)}
}

// wantLeft has what was left in stores looked at that are read, of those of a job:
// the configuration did not have it so, or that of another node does not.
func (w *Worker) wantLeft(ctx context.Context, stores []string) error {
	whole, err := w.cfg.Meta.DigestStores(ctx)
	if err != nil {
		return err
	}
	for _, store := range w.cfg.Stores {
		if slices.Contains(whole, store) || stores != nil && !slices.Contains(stores, store) {
			continue
		}
		for n := wantBatch; n == wantBatch; {
			if n, err = w.cfg.Meta.WantDigests(ctx, store, wantBatch); err != nil {
				return err
			}
		}
	}
	return nil
}

// reads reports whether contents of the store are read for their own sake.
func (w *Worker) reads(store string) bool { return slices.Contains(w.cfg.Stores, store) }

// errElsewhere is a content in a store whose contents are not read.
var errElsewhere = errors.New("contents of its store are not read")
