package upload

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// settleEvery is how many bytes are read back before what was found is kept.
const settleEvery = 256 << 20

// heldParts are the recorded parts of an upload, with the gen they were read
// at, every one of which is there for certain. Parts that were not synced when
// the machine went down (they carry another boot's id) are read back, compared
// and synced first; what does not compare is no longer a part.
func (s *Service) heldParts(ctx context.Context, up meta.Upload) ([]meta.Part, int64, error) {
	if err := s.here(up); err != nil {
		return nil, 0, err
	}
	se := s.sessions.enter(up.UID)
	defer s.sessions.leave(se)
	if err := se.unlistLost(ctx); err != nil {
		return nil, 0, err
	}
	parts, gen, err := s.db.Parts(ctx, up.Owner, up.UID)
	if err == nil {
		err = s.hasAll(parts)
	}
	if err != nil || !s.anyOfOtherBoot(parts) {
		return parts, gen, err
	}
	select {
	case <-se.verifying:
		defer func() { se.verifying <- struct{}{} }()
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	if parts, _, err = s.db.Parts(ctx, up.Owner, up.UID); err != nil {
		return nil, 0, err
	}
	if err := se.settleOtherBoot(ctx, up, parts); err != nil {
		return nil, 0, err
	}
	return s.db.Parts(ctx, up.Owner, up.UID)
}

// hasAll makes sure that the parts lie in stores of this node; else the error is a
// *holder.Elsewhere. One is enough to tell of an upload of before there were homes.
func (s *Service) hasAll(parts []meta.Part) error {
	for _, p := range parts {
		if _, err := holder.Find(s.cfg.Stores, p.Store); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) ofOtherBoot(p meta.Part) bool { return p.BootID != "" && p.BootID != s.cfg.BootID }

func (s *Service) anyOfOtherBoot(parts []meta.Part) bool {
	for _, p := range parts {
		if s.ofOtherBoot(p) {
			return true
		}
	}
	return false
}

// settleOtherBoot verifies what another boot left, in the order it was
// recorded, and keeps what it found every settleEvery bytes, so that a caller
// who gives up does not make the next one begin anew.
func (se *session) settleOtherBoot(ctx context.Context, up meta.Upload, parts []meta.Part) error {
	s := se.svc
	parts = slices.DeleteFunc(parts, func(p meta.Part) bool { return !s.ofOtherBoot(p) })
	slices.SortFunc(parts, func(a, b meta.Part) int { return cmp.Compare(a.Gen, b.Gen) })
	good := map[meta.BlobID]meta.Part{} // of each blob the one recorded last
	var since int64
	for _, p := range parts {
		ok, err := s.readsBack(ctx, p)
		if err != nil {
			return err
		}
		if !ok {
			s.log.Warn("a part did not survive a restart of the machine and is no longer listed", "uid", se.uid, "part", p.Number)
			if err := se.dropPart(ctx, p); err != nil {
				return err
			}
			continue
		}
		good[p.Blob] = p
		if since += p.Length; since >= settleEvery {
			if err := se.keepSettled(ctx, up, good); err != nil {
				return err
			}
			since = 0
		}
	}
	if err := se.keepSettled(ctx, up, good); err != nil {
		return err
	}
	se.mu.Lock()
	defer se.mu.Unlock()
	se.settled = true
	return nil
}

// keepSettled syncs blobs and clears the boot ids of their parts up to the one
// given of each, and empties good.
func (se *session) keepSettled(ctx context.Context, up meta.Upload, good map[meta.BlobID]meta.Part) error {
	for id, p := range good {
		if err := se.syncBlobOf(ctx, up, p); err != nil {
			return err
		}
		if err := se.svc.db.PartsSynced(ctx, se.uid, id, p.Gen); err != nil {
			return err
		}
	}
	clear(good)
	return nil
}

func (se *session) dropPart(ctx context.Context, p meta.Part) error {
	if err := se.svc.db.DropPart(ctx, se.uid, p.Number, p.Gen); err != nil {
		return err
	}
	se.mu.Lock()
	defer se.mu.Unlock()
	se.recorded = nil
	return nil
}

// SettleParts does for all open uploads what each would have done when it was
// next asked for: parts that another boot left unsynced are verified and
// synced, or are no longer listed. Those on other nodes' disks are left to them:
// they look at them when they are asked for, too.
func (s *Service) SettleParts(ctx context.Context) error {
	var left []meta.Part // of one upload
	var of protocol.UID
	settle := func() error {
		defer func() { left = nil }()
		return s.settleParts(ctx, of, left)
	}
	if err := s.db.EachOpenPart(ctx, func(uid protocol.UID, p meta.Part) error {
		if uid != of {
			if err := settle(); err != nil {
				return err
			}
			of = uid
		}
		if s.ofOtherBoot(p) && s.isOwn(p.Store) {
			left = append(left, p)
		}
		return nil
	}); err != nil {
		return err
	}
	return settle()
}

func (s *Service) settleParts(ctx context.Context, uid protocol.UID, parts []meta.Part) error {
	if len(parts) == 0 {
		return nil
	}
	se := s.sessions.enter(uid)
	defer s.sessions.leave(se)
	select {
	case <-se.verifying:
		defer func() { se.verifying <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	// No descriptor is kept for parts to come, so that it need not be known
	// which blob they would be assembled in.
	return se.settleOtherBoot(ctx, meta.Upload{}, parts)
}

// readsBack compares a part's bytes in the store with its XXH3.
func (s *Service) readsBack(ctx context.Context, p meta.Part) (bool, error) {
	st, err := s.storeNamed(p.Store)
	if err != nil {
		return false, err
	}
	r, err := st.Get(ctx, store.Key(p.Key), p.BlobOffset, p.Length)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrRange) {
		return false, nil
	}
	if err != nil {
		return false, storeError(ctx, "read a part back", err)
	}
	defer r.Close()
	sc := s.scratches.Get().(*scratch)
	defer s.scratches.Put(sc)
	var h protocol.XXH3Hasher
	if _, err := io.CopyBuffer(&h, struct{ io.Reader }{r}, sc.buf); err != nil {
		if ctx.Err() != nil {
			return false, storeError(ctx, "read a part back", err)
		}
		// A part that cannot be read cannot become a file; sent again, it can.
		s.log.Warn("read a part back", "part", p.Number, "err", err)
		return false, nil
	}
	return h.Sum() == p.XXH3, nil
}

// syncBlobOf syncs the blob that part p of up lies in, which may not be open.
func (se *session) syncBlobOf(ctx context.Context, up meta.Upload, p meta.Part) error {
	se.mu.Lock()
	b, err := se.openLocked(ctx, p.Blob, p.Store, store.Key(p.Key), p.Blob == up.Blob)
	if err != nil {
		se.mu.Unlock()
		return err
	}
	b.users++
	se.mu.Unlock()
	defer se.unref(b)
	return se.syncBlob(ctx, b)
}
