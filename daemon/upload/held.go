package upload

import (
	"context"
	"errors"
	"io"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// heldParts are the recorded parts of an upload, with the gen they were read
// at, every one of which is there for certain. Parts that were not synced when
// the machine went down (they carry another boot's id) are read back, compared
// and synced first; what does not compare is no longer a part.
func (s *Service) heldParts(ctx context.Context, up meta.Upload) ([]meta.Part, int64, error) {
	parts, gen, err := s.db.Parts(ctx, up.Owner, up.UID)
	if err != nil || !s.anyOfOtherBoot(parts) {
		return parts, gen, err
	}
	se := s.sessions.enter(up.UID)
	defer s.sessions.leave(se)
	se.verify.Lock()
	defer se.verify.Unlock()
	if parts, _, err = s.db.Parts(ctx, up.Owner, up.UID); err != nil {
		return nil, 0, err
	}
	if err := se.settleOtherBoot(ctx, parts); err != nil {
		return nil, 0, err
	}
	return s.db.Parts(ctx, up.Owner, up.UID)
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

// settleOtherBoot verifies what another boot left, then syncs the blobs of
// what is good and clears the boot ids.
func (se *session) settleOtherBoot(ctx context.Context, parts []meta.Part) error {
	s := se.svc
	through := map[meta.BlobID]int64{}
	blobs := map[meta.BlobID]meta.Part{}
	for _, p := range parts {
		if !s.ofOtherBoot(p) {
			continue
		}
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
		through[p.Blob] = max(through[p.Blob], p.Gen)
		blobs[p.Blob] = p
	}
	for id, p := range blobs {
		if err := se.syncBlobOf(ctx, p); err != nil {
			return err
		}
		if err := s.db.PartsSynced(ctx, se.uid, id, through[id]); err != nil {
			return err
		}
	}
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
// synced, or are no longer listed.
func (s *Service) SettleParts(ctx context.Context) error {
	left := map[protocol.UID][]meta.Part{}
	if err := s.db.EachOpenPart(ctx, func(uid protocol.UID, p meta.Part) error {
		if s.ofOtherBoot(p) {
			left[uid] = append(left[uid], p)
		}
		return nil
	}); err != nil {
		return err
	}
	for uid, parts := range left {
		if err := s.settleParts(ctx, uid, parts); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) settleParts(ctx context.Context, uid protocol.UID, parts []meta.Part) error {
	se := s.sessions.enter(uid)
	defer s.sessions.leave(se)
	se.verify.Lock()
	defer se.verify.Unlock()
	return se.settleOtherBoot(ctx, parts)
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
		return false, storeError("read a part back", err)
	}
	defer r.Close()
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	var h protocol.XXH3Hasher
	if _, err := io.CopyBuffer(&h, struct{ io.Reader }{r}, sc.buf); err != nil {
		return false, storeError("read a part back", err)
	}
	return h.Sum() == p.XXH3, nil
}

// syncBlobOf syncs the blob that part p lies in, which may not be open.
func (se *session) syncBlobOf(ctx context.Context, p meta.Part) error {
	se.mu.Lock()
	b, err := se.openLocked(ctx, p.Blob, p.Store, store.Key(p.Key), true)
	if err != nil {
		se.mu.Unlock()
		return err
	}
	b.writers++
	se.mu.Unlock()
	err = se.syncBlob(ctx, b)
	se.mu.Lock()
	se.unrefLocked(b)
	se.mu.Unlock()
	return err
}
