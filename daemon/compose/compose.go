// Package compose joins the objects that a content lies in into one, on the
// storage's own side (store.Composer): what arrived in parts is kept as one
// object, and costs one request to read. Readers never notice; until then the
// content reads from its parts.
//
// A job of kind compose is made by the transaction that commits the parts. What
// it begins is written down before anything is copied, so that the next attempt
// goes on with it after whatever death, and that the sweep knows what to take
// away where there is none: a blob of the job's own, which names the object, and
// with the blob the id of the composition. The flip is a compare-and-set
// (meta.DB.MoveExtents): bytes that are moved or put again meanwhile win, and the
// object is given up.
//
// In a store that a migration empties nothing is joined, as the migration would
// copy it again: the job waits for its end, and has nothing left to do where the
// content was moved into one object. Where the migration was cancelled or is
// dead, the content is joined in the store where it lies, which stays closed to
// all that is new: objects of two stores cannot be joined on a storage's side.
package compose

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Records is what a Worker needs of the metadata; meta.DB is the one. Contexts
// carry the job's lease.
type Records interface {
	ContentOf(ctx context.Context, id meta.ContentID) (meta.Content, error)
	Blocks(ctx context.Context, id meta.ContentID, first, n int64) ([]protocol.Block, error)
	Emptying(ctx context.Context, store string) (bool, error)
	AddJoinedBlob(ctx context.Context, b meta.NewBlob) (meta.BlobID, error)
	JobBlobs(ctx context.Context) ([]meta.Blob, error)
	KeepComposition(ctx context.Context, blob meta.BlobID, id string) error
	DropBlob(ctx context.Context, id meta.BlobID) error
	MoveExtents(ctx context.Context, m meta.Move) error
	EnqueueScrub(ctx context.Context, content meta.ContentID) error
}

// Place chooses keys; placing.Placer is the one.
type Place interface {
	Key(ctx context.Context, st *store.Store) (store.Key, error)
}

// Config is what a Worker needs.
type Config struct {
	Meta   Records
	Stores map[string]*store.Store
	Place  Place
	// Pace holds the reading of what was joined back.
	Pace *pace.Pace
	// Peers: there may be other nodes, with stores that this one does not have.
	Peers bool
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

// Worker does compose jobs. Its methods are safe for concurrent use.
type Worker struct {
	cfg Config
	log *slog.Logger
}

// New makes a Worker.
func New(cfg Config) *Worker {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Worker{cfg: cfg, log: cfg.Logger}
}

// anewMax is how often one attempt begins anew, where the content was moved
// meanwhile or the storage forgot what was begun.
const anewMax = 3

// Do is the handler of the job.
func (w *Worker) Do(ctx context.Context, r *job.Run, args meta.ComposeArgs) error {
	for range anewMax {
		again, err := w.once(ctx, r, args.Content)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || !again {
			return err
		}
	}
	return protocol.Errorf(protocol.KindUnavailable, "the content moves all the time, or the storage forgets what was begun; its parts are kept")
}

// once looks at the content as it is and joins it; again says that this came to
// nothing, and that another look may tell why.
func (w *Worker) once(ctx context.Context, r *job.Run, id meta.ContentID) (again bool, err error) {
	c, err := w.cfg.Meta.ContentOf(ctx, id)
	if protocol.KindOf(err) == protocol.KindNotFound {
		return false, w.leave(ctx, r, "it is gone")
	}
	if err != nil {
		return false, err
	}
	if name := w.elsewhere(c); name != "" {
		r.Progress(protocol.JobProgress{Unit: "bytes", Note: "waits for a node that has store " + name})
		return false, job.Snooze(elsewherePause)
	}
	st, why := w.joins(c)
	if why != "" {
		return false, w.leave(ctx, r, why)
	}
	switch empties, err := w.cfg.Meta.Emptying(ctx, st.Name()); {
	case err != nil:
		return false, err
	case empties:
		return false, w.wait(ctx, r)
	}
	t := &target{Worker: w, run: r, content: c, st: st}
	switch err := t.open(ctx); {
	case errors.Is(err, meta.ErrStoreClosed):
		return false, w.wait(ctx, r)
	case err != nil:
		return false, err
	}
	return t.join(ctx)
}

// joins is the store that can join the content's objects, or why nothing is to
// be done.
func (w *Worker) joins(c meta.Content) (st *store.Store, why string) {
	blobs := map[meta.BlobID]bool{}
	stores := map[string]bool{}
	for _, e := range c.Extents {
		blobs[e.Blob], stores[e.Store] = true, true
		st = w.cfg.Stores[e.Store]
	}
	switch {
	case len(blobs) < 2:
		return nil, "it is one object"
	case c.State == meta.ContentDamaged:
		return nil, "it is damaged"
	case c.Digest == nil:
		return nil, "its digest is not known yet; it is joined after the digest job"
	case len(stores) > 1:
		return nil, "it lies in several stores"
	case st == nil:
		return nil, "its store is not configured"
	}
	if _, ok := st.Composer(); !ok {
		return nil, "its store cannot join objects"
	}
	return st, ""
}

// elsewherePause is how long a job is left alone that a node took which does not
// have the content's store.
const elsewherePause = 10 * time.Second

// elsewhere is the store of the content where only other nodes may have any of it,
// "" where this one is to say what becomes of it.
func (w *Worker) elsewhere(c meta.Content) (store string) {
	for _, e := range c.Extents {
		if store = e.Store; !w.cfg.Peers || w.cfg.Stores[store] != nil {
			return ""
		}
	}
	return store
}

// emptiedPause is how long a job waits before it looks whether its store is still
// being emptied.
const emptiedPause = time.Minute

// wait has the job go on later. What earlier attempts began is given up, since
// the migration waits for what is written in its source.
func (w *Worker) wait(ctx context.Context, r *job.Run) error {
	if err := w.leave(ctx, r, "its store is being emptied; waits for the end of the migration"); err != nil {
		return err
	}
	return job.Snooze(emptiedPause)
}

// leave ends an attempt that has nothing to do, or nothing more: what earlier
// ones began is given up.
func (w *Worker) leave(ctx context.Context, r *job.Run, note string) error {
	blobs, err := w.cfg.Meta.JobBlobs(ctx)
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if err := w.cfg.Meta.DropBlob(ctx, b.ID); err != nil {
			return err
		}
	}
	r.Progress(protocol.JobProgress{Unit: "bytes", Note: note})
	return nil
}
