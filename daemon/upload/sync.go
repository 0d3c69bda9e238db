package upload

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// finishingTime bounds what must be finished although its request is gone.
const finishingTime = 30 * time.Second

// finishing is a context for what must not stop half way because a client
// left: recording what arrived, or undoing it.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), finishingTime)
}

// reserve waits until n more bytes of the upload may be unsynced, and starts
// the sync that follows the writers.
func (se *session) reserve(ctx context.Context, n int64) error {
	se.mu.Lock()
	defer se.mu.Unlock()
	for se.unsynced > 0 && se.unsynced+n > se.svc.cfg.Unsynced {
		se.waiting++
		se.followLocked()
		err := se.waitLocked(ctx)
		se.waiting--
		if err != nil {
			return err
		}
	}
	se.unsynced += n
	se.followLocked()
	return nil
}

// unreserve gives back what reserve gave and nothing was written for.
func (se *session) unreserve(n int64) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.easeLocked(n)
}

// waitLocked waits until unsynced falls. The caller holds mu, which is given
// up meanwhile.
func (se *session) waitLocked(ctx context.Context) error {
	eased := se.eased
	se.mu.Unlock()
	defer se.mu.Lock()
	select {
	case <-eased:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-se.svc.sessions.ctx.Done():
		return protocol.Errorf(protocol.KindDraining, "the daemon is stopping; the part was not recorded")
	}
}

// wrote moves n reserved bytes to the account of blob b, or, where they were
// not written or b is given up, gives them back.
func (se *session) wrote(b *openBlob, n int64, ok bool) {
	se.mu.Lock()
	defer se.mu.Unlock()
	if ok && se.blobs[b.id] == b {
		b.written += n
		se.followLocked()
		return
	}
	se.easeLocked(n)
}

// easeLocked lowers unsynced and wakes who waits. The caller holds mu.
func (se *session) easeLocked(n int64) {
	se.unsynced -= n
	close(se.eased)
	se.eased = make(chan struct{})
}

// followLocked starts a background sync once a quarter of the limit is
// unsynced, or somebody waits; it goes on until neither is so. Bytes that are
// reserved and not written yet start it when they are. The caller holds mu.
func (se *session) followLocked() {
	if se.syncing || !se.mustFollowLocked() {
		return
	}
	ss := se.svc.sessions
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return
	}
	se.syncing = true
	se.users++
	ss.wg.Go(func() {
		defer ss.leave(se)
		se.follow(ss.ctx)
	})
}

func (se *session) mustFollowLocked() bool {
	return (se.waiting > 0 || se.unsynced >= se.svc.cfg.Unsynced/4) && se.anyDirtyLocked()
}

// follow ends: each round syncs what is dirty or loses it.
func (se *session) follow(ctx context.Context) {
	for {
		if err := se.syncAll(ctx); err != nil && ctx.Err() == nil {
			se.svc.log.Error("sync an upload", "uid", se.uid, "err", err)
		}
		se.mu.Lock()
		se.syncing = ctx.Err() == nil && se.mustFollowLocked()
		again := se.syncing
		se.mu.Unlock()
		if !again {
			return
		}
	}
}

func (se *session) anyDirtyLocked() bool {
	for _, b := range se.blobs {
		if b.dirty() > 0 {
			return true
		}
	}
	return false
}

// syncAll syncs every blob with unsynced bytes and clears the boot ids of the
// parts that are durable by that. A failed sync loses its blob; the others are
// synced all the same.
func (se *session) syncAll(ctx context.Context) error {
	se.mu.Lock()
	var dirty []*openBlob
	for _, b := range se.blobs {
		if b.dirty() > 0 {
			b.users++ // keeps the descriptor open
			dirty = append(dirty, b)
		}
	}
	se.mu.Unlock()
	var errs []error
	for _, b := range dirty {
		errs = append(errs, se.syncBlob(ctx, b))
		se.unref(b)
	}
	return errors.Join(errs...)
}

// syncBlob makes durable what was written to b before the call.
func (se *session) syncBlob(ctx context.Context, b *openBlob) error {
	se.mu.Lock()
	through, covers, settled := se.gen, b.written, se.settled
	se.mu.Unlock()
	if err := b.asm.Sync(ctx); err != nil {
		// Every failed sync ends an Assembly; one that ctx kept from
		// beginning is none.
		if errors.Is(err, store.ErrLost) || ctx.Err() == nil {
			se.lose(ctx, b)
		}
		return storeError(ctx, "sync a blob", err)
	}
	crashpoint.Hit(crashpoint.SyncDone)
	se.mu.Lock()
	if se.blobs[b.id] == b && covers > b.synced {
		se.easeLocked(covers - b.synced)
		b.synced = covers
	}
	se.mu.Unlock()
	if !settled {
		return nil
	}
	if err := se.svc.db.PartsSynced(ctx, se.uid, b.id, through); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.SyncCleared)
	return nil
}

// lose gives up a blob whose sync failed: what was written to it may be gone
// although it reads back now, so its parts are no longer listed.
func (se *session) lose(ctx context.Context, b *openBlob) {
	se.mu.Lock()
	first := !se.lost[b.id]
	if first {
		se.lost[b.id], se.listed[b.id] = true, true
		se.removeLocked(b)
		se.recorded = nil
	}
	se.mu.Unlock()
	if !first {
		return
	}
	se.svc.log.Error("a sync failed; the parts in this blob are no longer listed", "uid", se.uid, "blob", b.id)
	if err := se.unlistLost(ctx); err != nil {
		se.svc.log.Error("un-record the parts of a lost blob; it is tried again", "uid", se.uid, "blob", b.id, "err", err)
	}
}

// unlistLost un-records the parts of lost blobs. Until that has succeeded the
// upload can neither be listed nor committed, and its session stays. After a
// commit the parts are the file's, and were synced by it.
func (se *session) unlistLost(ctx context.Context) error {
	se.mu.Lock()
	lost := slices.Collect(maps.Keys(se.listed))
	se.mu.Unlock()
	for _, id := range lost {
		if err := se.svc.loseBlob(ctx, se.uid, id); err != nil {
			return err
		}
		se.mu.Lock()
		delete(se.listed, id)
		se.mu.Unlock()
	}
	return nil
}

func (s *Service) loseBlob(ctx context.Context, uid protocol.UID, id meta.BlobID) error {
	ctx, cancel := finishing(ctx)
	defer cancel()
	err := s.db.LoseBlob(ctx, uid, id)
	if k := protocol.KindOf(err); k == protocol.KindCommitted || k == protocol.KindNotFound {
		return nil
	}
	return err
}
