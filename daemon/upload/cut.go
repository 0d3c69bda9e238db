package upload

import (
	"context"
	"errors"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
)

// cutPage is how many blobs are listed at once.
const cutPage = 500

// cutLater cuts the blob of a committed upload to its size, in the background:
// part requests that were not recorded may have written beyond. Nobody may use
// the upload's session any more. The caller holds mu.
func (ss *sessions) cutLater(id meta.BlobID) {
	if id == 0 || ss.closed {
		return // Settle does it
	}
	ss.wg.Go(func() {
		ctx, cancel := finishing(ss.ctx)
		defer cancel()
		b, err := ss.svc.db.Overlong(ctx, id)
		if err == nil && b != nil {
			err = ss.svc.cutCommitted(ctx, *b)
		}
		if err != nil {
			ss.svc.log.Warn("cut a blob to its size; the next start tries it again", "blob", id, "err", err)
		}
	})
}

// cutCommitted is cut for a blob whose object the commit has just synced: where
// that is not too long, it never was, and there is nothing to wait for.
func (s *Service) cutCommitted(ctx context.Context, b meta.Blob) error {
	st, err := s.storeNamed(b.Store)
	if err != nil {
		return err
	}
	info, err := st.Stat(ctx, store.Key(b.Key))
	if err == nil && info.Size <= b.Size {
		return s.db.MarkCut(ctx, b.ID)
	}
	return s.cut(ctx, b)
}

// cut frees what an object has beyond its blob's size. One that is gone was
// removed meanwhile, or is damage that its readers report.
func (s *Service) cut(ctx context.Context, b meta.Blob) error {
	st, err := s.storeNamed(b.Store)
	if err != nil {
		return err
	}
	if a, ok := st.Assembler(); ok {
		err := a.Cut(ctx, store.Key(b.Key), b.Size)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return storeError(ctx, "cut a blob", err)
		}
	}
	crashpoint.Hit(crashpoint.CutDone)
	return s.db.MarkCut(ctx, b.ID)
}

// settleCuts cuts what a crash left uncut. What cannot be cut now stays for
// the next start: it wastes room and harms nothing.
func (s *Service) settleCuts(ctx context.Context, st *store.Store) error {
	for last := meta.BlobID(0); ; {
		page, err := s.db.OverlongBlobs(ctx, st.Name(), last, cutPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, b := range page {
			last = b.ID
			if err := s.cut(ctx, b); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				s.log.Warn("cut a blob to its size; the next start tries it again", "blob", b.ID, "err", err)
			}
		}
	}
}
