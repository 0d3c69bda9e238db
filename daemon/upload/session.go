package upload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// session is what an open upload needs between its requests. It exists while
// somebody uses it or has written bytes that are not synced yet; everything
// that must survive is in the database.
type session struct {
	svc *Service
	uid protocol.UID

	users int  // guarded by sessions.mu
	done  bool // guarded by sessions.mu: committed or aborted, close when unused
	// cut is the blob to cut when the session is closed, 0 for none. guarded by
	// sessions.mu
	cut  meta.BlobID
	idle time.Time // guarded by sessions.mu: when the last user left

	parts    int       // guarded by sessions.mu: part requests running
	partDone time.Time // guarded by sessions.mu: when the last one ended
	told     time.Time // guarded by sessions.mu: when others were told of them last

	// verifying holds one token while nobody reads back parts of another boot.
	verifying chan struct{}

	// coming has a lock of its own.
	coming coming

	mu sync.Mutex
	// recorded are the part numbers the database holds, nil before it was
	// asked. guarded by mu, as is all that follows.
	recorded map[protocol.PartNumber]bool
	// inPlace are the part numbers being written at their place.
	inPlace map[protocol.PartNumber]bool
	blobs   map[meta.BlobID]*openBlob
	// lost are the blobs of which a sync failed; listed are those of them
	// whose parts the database may still list.
	lost   map[meta.BlobID]bool
	listed map[meta.BlobID]bool
	// settled: no recorded part is of another boot. Before that a sync clears
	// no boot ids, since it may have written what did not survive.
	settled bool
	// gen is the highest gen a part of this process was recorded at: a sync
	// that starts now covers every part up to it.
	gen int64
	// unsynced counts bytes that are written, or about to be, and not synced.
	unsynced int64
	// eased is closed and replaced whenever unsynced falls; waiting counts
	// who waits for that.
	eased   chan struct{}
	waiting int
	syncing bool
}

// openBlob is a blob being written, by one descriptor from its first byte to
// its last sync.
type openBlob struct {
	id  meta.BlobID
	asm store.Assembly
	// keep: more parts may come (the upload's own blob), so the descriptor
	// stays open while the session does.
	keep bool
	// Guarded by session.mu: all bytes ever written, with what the blob of one
	// part counts for beside them; how many of them a sync has covered; and who
	// uses the descriptor.
	written int64
	synced  int64
	users   int
}

// dirty is how much is written and not synced.
func (b *openBlob) dirty() int64 { return b.written - b.synced }

// sessions are the open uploads of this process.
type sessions struct {
	svc  *Service
	stop context.CancelFunc
	ctx  context.Context
	wg   sync.WaitGroup // letIdleGo and all running syncs

	mu     sync.Mutex
	open   map[protocol.UID]*session // guarded by mu
	closed bool                      // guarded by mu: no goroutine is started any more
}

func newSessions(svc *Service) *sessions {
	ss := &sessions{svc: svc, open: map[protocol.UID]*session{}}
	ss.ctx, ss.stop = context.WithCancel(context.Background())
	ss.wg.Go(ss.letIdleGo)
	if svc.cfg.Shared {
		ss.wg.Go(ss.tellOthers)
	}
	return ss
}

// enter joins the session of an upload, making it if need be. The caller
// leaves it.
func (ss *sessions) enter(uid protocol.UID) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	se := ss.open[uid]
	if se == nil {
		se = &session{
			svc: ss.svc, uid: uid, eased: make(chan struct{}), verifying: make(chan struct{}, 1),
			inPlace: map[protocol.PartNumber]bool{}, blobs: map[meta.BlobID]*openBlob{},
			lost: map[meta.BlobID]bool{}, listed: map[meta.BlobID]bool{},
		}
		se.verifying <- struct{}{}
		ss.open[uid] = se
	}
	se.users++
	return se
}

// leave ends what enter began.
func (ss *sessions) leave(se *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	se.users--
	se.idle = time.Now()
	if se.users == 0 && (se.done || ss.closed) {
		ss.drop(se)
	}
}

// partBegins and partEnds bracket a part request.
func (ss *sessions) partBegins(uid protocol.UID) *session {
	se := ss.enter(uid)
	ss.mu.Lock()
	se.parts++
	ss.mu.Unlock()
	return se
}

func (ss *sessions) partEnds(se *session) {
	ss.mu.Lock()
	se.parts--
	se.partDone = ss.svc.now()
	ss.mu.Unlock()
	ss.leave(se)
}

// busy reports whether a part request of the upload runs or ended less than
// busyFor ago, here or elsewhere; up is of OpenUploads.
func (ss *sessions) busy(up meta.Upload) bool {
	now := ss.svc.now()
	recent := func(t time.Time) bool { return !t.After(now) && now.Sub(t) < busyFor }
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if se := ss.open[up.UID]; se != nil && (se.parts > 0 || recent(se.partDone)) {
		return true
	}
	// A part that was recorded before this process began, or that others take: who
	// began it was told at once, and is not busy yet.
	sent := up.Gen > 0 || !up.TouchedAt.Equal(up.CreatedAt)
	return sent && up.Quiet < busyFor && up.Quiet > -clocksApart
}

// forget closes the session of an upload that is committed or aborted, as soon
// as its last straggler has left, and then cuts the blob that a committed one
// was assembled in, 0 for none.
func (ss *sessions) forget(uid protocol.UID, cut meta.BlobID) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	se := ss.open[uid]
	if se == nil {
		ss.cutLater(cut)
		return
	}
	se.done, se.cut = true, cut
	if se.users == 0 {
		ss.drop(se)
	}
}

// drop closes the descriptors of a session nobody uses. The caller holds mu.
func (ss *sessions) drop(se *session) {
	delete(ss.open, se.uid)
	for _, b := range se.blobs {
		if err := b.asm.Close(); err != nil {
			ss.svc.log.Warn("close a blob", "uid", se.uid, "err", err)
		}
	}
	ss.cutLater(se.cut)
}

// letIdleGo syncs and closes the descriptors of uploads that nobody has
// written to for a while.
func (ss *sessions) letIdleGo() {
	tick := time.NewTicker(ss.svc.cfg.IdleAfter / 2)
	defer tick.Stop()
	for {
		select {
		case <-ss.ctx.Done():
			return
		case <-tick.C:
		}
		since := time.Now().Add(-ss.svc.cfg.IdleAfter)
		for _, se := range ss.idleSince(since) {
			err := errors.Join(se.unlistLost(ss.ctx), se.syncAll(ss.ctx))
			if err != nil && ss.ctx.Err() == nil {
				ss.svc.log.Error("bring an idle upload to rest; it is tried again", "uid", se.uid, "err", err)
			}
			ss.closeIdle(se, since, err == nil)
		}
	}
}

// idleSince picks the sessions without a user since t and becomes their user.
func (ss *sessions) idleSince(t time.Time) []*session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var idle []*session
	for _, se := range ss.open {
		if se.users == 0 && se.idle.Before(t) {
			se.users++
			idle = append(idle, se)
		}
	}
	return idle
}

// closeIdle ends what idleSince began and drops a session that is at rest,
// unless somebody used it meanwhile.
func (ss *sessions) closeIdle(se *session, since time.Time, atRest bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	se.users--
	if se.users == 0 && (se.done || ss.closed || atRest && se.idle.Before(since)) {
		ss.drop(se)
	}
}

// close ends the background work and closes every descriptor. One that a
// request still uses is closed when that request ends, and reported.
func (ss *sessions) close() error {
	ss.mu.Lock()
	ss.closed = true
	ss.mu.Unlock()
	ss.stop()
	ss.wg.Wait()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var errs []error
	for _, se := range ss.open {
		if se.users > 0 {
			errs = append(errs, fmt.Errorf("close the upload service: upload %s is in use", se.uid))
			continue
		}
		ss.drop(se)
	}
	return errors.Join(errs...)
}
