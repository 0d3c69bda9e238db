package upload

import (
	"context"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// discard gives up a blob of one part that was not recorded, as dropBlob does,
// and removes its object at once: what a sender broke off, or what is not as he
// said, is on the disk past his owner's quota. Nobody was ever shown it, so that
// there is no reader for whom the sweep would wait; its row is doomed, durably,
// before the object goes, and stays as a tombstone. Where something fails it is
// left to the sweep.
func (s *Service) discard(ctx context.Context, st *store.Store, id meta.BlobID, key store.Key) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	unseen, err := s.db.DropUnseen(ctx, id)
	if err != nil {
		s.log.Error("give a blob up", "blob", id, "err", err)
	}
	if !unseen || err != nil {
		return
	}
	if err := st.Delete(ctx, key); err != nil {
		s.log.Warn("remove what was not recorded; the sweep does", "blob", id, "err", err)
		return
	}
	if err := s.db.MarkGone(ctx, []meta.BlobID{id}); err != nil {
		s.log.Warn("note that what was not recorded is removed; the sweep does", "blob", id, "err", err)
	}
}
