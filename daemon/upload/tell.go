package upload

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// touchEvery is how precisely the begin of a part is remembered.
	touchEvery = time.Minute
	// tellEvery is how often other processes are told which uploads are sent to
	// here. With it a part that runs is seen well within busyFor.
	tellEvery = 2 * time.Second
)

// touch notes that a part of the upload begins: for its end, which that puts
// off, and, where others take parts too, for them.
func (se *session) touch(ctx context.Context, up meta.Upload) error {
	now := se.svc.now()
	ss := se.svc.sessions
	ss.mu.Lock()
	tell := se.svc.cfg.Shared && now.Sub(se.told) >= tellEvery
	if tell {
		se.told = now
	}
	ss.mu.Unlock()
	if !tell && now.Sub(up.TouchedAt) <= touchEvery {
		return nil
	}
	return se.svc.db.TouchUpload(ctx, up.Owner, up.UID)
}

// tellOthers notes in the database which uploads are sent to here, in one write
// for all of them.
func (ss *sessions) tellOthers() {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ss.ctx.Done():
			return
		case <-tick.C:
		}
		sent := ss.sentTo()
		if len(sent) == 0 {
			continue
		}
		err := ss.svc.db.KeepTouched(ss.ctx, sent)
		if err != nil && !failing && ss.ctx.Err() == nil {
			ss.svc.log.Warn("other nodes cannot be told which uploads are sent to here, and may give them to others who resume; it is tried again", "err", err)
		}
		failing = err != nil
	}
}

// sentTo are the uploads of which a part runs, or ran since others were told,
// with how long ago that was.
func (ss *sessions) sentTo() map[protocol.UID]time.Duration {
	now := ss.svc.now()
	ago := map[protocol.UID]time.Duration{}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for uid, se := range ss.open {
		switch {
		case se.done:
		case se.parts > 0:
			ago[uid], se.told = 0, now
		case se.partDone.After(se.told):
			ago[uid], se.told = now.Sub(se.partDone), now
		}
	}
	return ago
}
