package upload

import (
	"context"
	"errors"
	"time"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
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
	limit := se.svc.cfg.Unsynced
	for {
		se.mu.Lock()
		if se.unsynced == 0 || se.unsynced+n <= limit {
			se.unsynced += n
			se.followLocked()
			se.mu.Unlock()
			return nil
		}
		eased := se.eased
		se.followLocked()
		se.mu.Unlock()
		select {
		case <-eased:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wrote moves n reserved bytes to the account of blob b; wrote false gives
// them back.
func (se *session) wrote(b *openBlob, n int64, ok bool) {
	se.mu.Lock()
	defer se.mu.Unlock()
	if ok && se.blobs[b.id] == b {
		b.dirty += n
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
// unsynced; it goes on until less is. The caller holds mu.
func (se *session) followLocked() {
	if se.syncing || se.unsynced < se.svc.cfg.Unsynced/4 {
		return
	}
	ss := se.svc.sessions
	if ss.ctx.Err() != nil {
		return
	}
	se.syncing = true
	ss.mu.Lock()
	se.users++
	ss.mu.Unlock()
	ss.wg.Go(func() {
		defer ss.leave(se)
		se.follow(ss.ctx)
	})
}

func (se *session) follow(ctx context.Context) {
	for {
		err := se.syncAll(ctx)
		if err != nil && ctx.Err() == nil {
			se.svc.log.Error("sync an upload", "uid", se.uid, "err", err)
		}
		se.mu.Lock()
		if err != nil || se.unsynced < se.svc.cfg.Unsynced/4 || ctx.Err() != nil || !se.anyDirtyLocked() {
			se.syncing = false
			se.mu.Unlock()
			return
		}
		se.mu.Unlock()
	}
}

func (se *session) anyDirtyLocked() bool {
	for _, b := range se.blobs {
		if b.dirty > 0 {
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
		if b.dirty > 0 {
			b.writers++ // keeps the descriptor open
			dirty = append(dirty, b)
		}
	}
	se.mu.Unlock()
	var errs []error
	for _, b := range dirty {
		errs = append(errs, se.syncBlob(ctx, b))
		se.mu.Lock()
		se.unrefLocked(b)
		se.mu.Unlock()
	}
	return errors.Join(errs...)
}

// syncBlob makes durable what was written to b before the call.
func (se *session) syncBlob(ctx context.Context, b *openBlob) error {
	se.mu.Lock()
	through, covered := se.gen, b.dirty
	se.mu.Unlock()
	if err := b.asm.Sync(ctx); err != nil {
		if errors.Is(err, store.ErrLost) {
			se.lose(ctx, b)
		}
		return storeError("sync a blob", err)
	}
	crashpoint.Hit(crashpoint.SyncDone)
	se.mu.Lock()
	if se.blobs[b.id] == b {
		covered = min(covered, b.dirty)
		b.dirty -= covered
		se.easeLocked(covered)
	}
	se.mu.Unlock()
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
	known := se.lost[b.id]
	se.lost[b.id] = true
	if !known {
		se.removeLocked(b)
		se.recorded = nil
	}
	se.mu.Unlock()
	if known {
		return
	}
	se.svc.log.Error("a sync failed; the parts in this blob are no longer listed", "uid", se.uid, "blob", b.id)
	se.svc.loseBlob(ctx, se, b.id)
}

func (s *Service) loseBlob(ctx context.Context, se *session, id meta.BlobID) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	if err := s.db.LoseBlob(ctx, se.uid, id); err != nil {
		s.log.Error("un-record the parts of a lost blob", "uid", se.uid, "blob", id, "err", err)
	}
}
