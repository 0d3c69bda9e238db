package upload

import (
	"context"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/protocol"
)

// beginOf begins the upload of a link's file, unless found is there to go on
// with. Where nothing is recorded of one that is sent the other way, in chunks
// or not, that begins anew: a request that was refused decides nothing.
func (s *Service) beginOf(ctx context.Context, l Linked, b beginning) (r once.Reply, found *meta.Upload, err error) {
	for looked := false; ; looked = true {
		up, err := s.db.Upload(ctx, l.Owner, l.UID)
		switch {
		case err != nil && protocol.KindOf(err) != protocol.KindNotFound:
			return r, nil, err
		case err != nil && looked:
			return r, nil, usedUp(l.UID)
		case err != nil:
		case up.State != protocol.UploadOpen:
			return r, nil, committed(up)
		case s.here(up) != nil:
			return r, nil, s.here(up)
		case up.Chunks == b.chunks:
			return r, &up, nil
		case looked || !b.chunks && !l.AnySize:
			return r, nil, otherWay(up)
		}
		b.anew = err == nil
		r, err = s.begin(ctx, l.Owner, b, nil)
		if err == nil && b.anew {
			s.easeAnew(ctx, l)
		}
		if k := protocol.KindOf(err); k != protocol.KindConflict && k != protocol.KindNotFound {
			return r, nil, err
		}
		// Another request was first, or something is recorded, or the link was used
		// before: that is looked at again.
	}
}

func otherWay(up meta.Upload) error {
	if up.Chunks {
		return inChunks(up.UID)
	}
	return notInChunks(up.UID)
}

// easeAnew gives back what is charged for what was dropped of an upload before it
// began anew.
func (s *Service) easeAnew(ctx context.Context, l Linked) {
	se := s.sessions.enter(l.UID)
	defer s.sessions.leave(se)
	se.coming.mu.Lock()
	defer se.coming.mu.Unlock()
	se.ease(ctx, l.Owner)
}
