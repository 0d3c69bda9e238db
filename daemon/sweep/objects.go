package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

const (
	// deletesAtOnce bounds the requests for one page that run together.
	deletesAtOnce = 4
	// deleteTimeout bounds one, with all its tries.
	deleteTimeout = time.Minute
	// failuresMax is after how many objects of requests in vain a store is left
	// alone until the next round.
	failuresMax = 8
)

// fate is what became of the object of a doomed blob.
type fate int

const (
	stays fate = iota // in its store, and doomed, for the next round
	gone
	left   // it is somebody else's now
	others // it is for another sweep
	among  // those that its store is to delete with one request
)

// objects deletes the objects of blobs and gives those of which it is done.
// What fails in a store stays there for the next round, and the other objects
// and stores go on.
func (r *round) objects(ctx context.Context, blobs []meta.Blob) (deleted []meta.Blob) {
	fates := make([]fate, len(blobs))
	var g errgroup.Group
	g.SetLimit(deletesAtOnce)
	for i, b := range blobs {
		g.Go(func() error {
			fates[i] = r.object(ctx, b)
			return nil
		})
	}
	_ = g.Wait() // what failed is counted
	batches := map[string][]int{}
	for i, b := range blobs {
		if fates[i] == among {
			batches[b.Store] = append(batches[b.Store], i)
		}
	}
	for name, batch := range batches {
		g.Go(func() error {
			r.batch(ctx, name, blobs, batch, fates)
			return nil
		})
	}
	_ = g.Wait() // likewise
	failed := len(blobs)
	for i, b := range blobs {
		switch fates[i] {
		case others:
			failed--
		case left:
			b.Origin = meta.OriginForeign
			deleted = append(deleted, b)
		case gone:
			deleted = append(deleted, b)
		}
	}
	r.report.Failed += failed - len(deleted)
	return deleted
}

// object deletes the object of a blob, unless it was there before ospd was, or
// leaves it to its store's batch. One that was adopted is deleted once, and only
// as it was then: its key is not random, and what lies under it later is
// somebody's new object. Between the look and the delete there is a moment: no
// store deletes on condition everywhere.
func (r *round) object(ctx context.Context, b meta.Blob) fate {
	if ctx.Err() != nil {
		return stays
	}
	if leaves, err := r.leaves(ctx, b.Store); leaves || err != nil {
		if err != nil {
			r.count(ctx, b.Store, outcome{b, err})
			return stays
		}
		return others
	}
	if b.Origin == meta.OriginForeign || b.Origin == meta.OriginAdopted && b.State == meta.BlobGone {
		return gone
	}
	if r.leftAlone(b.Store) {
		return stays
	}
	st := r.cfg.Stores[b.Store]
	if st == nil && b.State == meta.BlobGone {
		return gone // it was deleted once, and whoever took its store away wrote nothing there since
	}
	var err error
	if st == nil {
		var known bool
		if known, err = r.cfg.Meta.StoreKnown(ctx, b.Store); err == nil && !known {
			return gone // it was away until it was taken out: a store is known before anything is written there
		}
		err = errors.Join(fmt.Errorf("store %q is not configured", b.Store), err)
	} else {
		deadline, cancel := context.WithTimeout(ctx, deleteTimeout)
		defer cancel()
		// First, so that nothing can be finished after the object is deleted.
		if err = abandonComposition(deadline, st, b); err == nil {
			if _, many := st.BatchDeleter(); many && store.Key(b.Key).Valid() {
				return among
			}
			var theirs bool
			if theirs, err = r.replaced(deadline, st, b); theirs {
				return left
			}
			if err == nil {
				err = st.Delete(deadline, store.Key(b.Key))
			}
		}
	}
	r.count(ctx, b.Store, outcome{b, err})
	if err != nil {
		return stays
	}
	return gone
}

// replaced reports whether an adopted object is not the one any more that was
// adopted, or is gone.
func (r *round) replaced(ctx context.Context, st *store.Store, b meta.Blob) (bool, error) {
	name, ok := store.Key(b.Key).Foreign()
	browser, browses := st.Browser()
	if !ok || !browses {
		return false, nil
	}
	f, err := browser.Describe(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		r.log.Info("an adopted object was gone before it was to be deleted", "store", b.Store, "object", name)
		return true, nil
	case err != nil:
		return false, err
	case b.Tag == "" || f.Tag != b.Tag || f.Size != b.Size:
		r.log.Warn("an adopted object was changed by others since it was imported, and is left to them: nothing of it was deleted",
			"store", b.Store, "object", name)
		return true, nil
	}
	return false, nil
}

// batch deletes the objects of those blobs of a store whose indices are given
// with one request, and says what became of each.
func (r *round) batch(ctx context.Context, name string, blobs []meta.Blob, batch []int, fates []fate) {
	keys := make([]store.Key, len(batch))
	for n, i := range batch {
		fates[i] = stays
		keys[n] = store.Key(blobs[i].Key)
	}
	if ctx.Err() != nil || r.leftAlone(name) {
		return
	}
	failed := deleteAll(ctx, r.cfg.Stores[name], keys)
	outcomes := make([]outcome, len(batch))
	for n, i := range batch {
		outcomes[n] = outcome{blobs[i], failed[keys[n]]}
		if outcomes[n].err == nil {
			fates[i] = gone
		}
	}
	r.count(ctx, name, outcomes...)
}

// deleteAll gives those of the keys that are not deleted.
func deleteAll(ctx context.Context, st *store.Store, keys []store.Key) map[store.Key]error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	failed := map[store.Key]error{}
	d, _ := st.BatchDeleter()
	for k, err := range d.DeleteAll(ctx, keys) {
		failed[k] = err
	}
	return failed
}

func (r *round) leftAlone(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.useless[name] >= failuresMax
}

// outcome is how the delete of a blob's object ended.
type outcome struct {
	blob meta.Blob
	err  error
}

// count notes how a request to a store ended, unless the round does, and logs
// the first failure of a store until that works again. One object that stays
// among others that go does not speak against the store.
func (r *round) count(ctx context.Context, name string, outcomes ...outcome) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	deleted := 0
	for _, o := range outcomes {
		if o.err == nil {
			deleted++
			continue
		}
		r.failures[name]++
		if !r.failing[name] {
			r.failing[name] = true
			r.log.Error("a store does not delete; its blobs are tried again in each round", "store", name, "key", o.blob.Key, "err", o.err)
		}
	}
	r.deleted[name] += deleted
	if deleted == 0 {
		r.useless[name] += len(outcomes)
	}
}

// recovered tells which stores delete again.
func (r *round) recovered() {
	for name := range r.failing {
		if r.deleted[name] > 0 && r.failures[name] == 0 {
			delete(r.failing, name)
			r.log.Info("a store deletes again", "store", name)
		}
	}
}
