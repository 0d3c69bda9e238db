package upload

import (
	"context"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// placed makes sure that something new is put on this node; the error is a
// *holder.Elsewhere. What an import finds is this node's to record, and so is what
// another node chose this one for: it goes no further.
func (s *Service) placed(ctx context.Context, size *int64, from meta.Imported) error {
	if s.cfg.Choose == nil || from != (meta.Imported{}) || holder.WasHanded(ctx) {
		return nil
	}
	n := int64(-1)
	if size != nil {
		n = *size
	}
	if node := s.cfg.Choose(n); node != "" {
		return &holder.Elsewhere{Node: node}
	}
	return nil
}

// Here makes sure that the upload of a uid, if there is an open one, is for this
// node to go on with; the error is a *holder.Elsewhere.
func (s *Service) Here(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	up, err := s.db.Upload(ctx, owner, uid)
	if k := protocol.KindOf(err); k == protocol.KindNotFound || k == protocol.KindCommitted {
		return nil
	}
	if err != nil {
		return err
	}
	return s.here(up)
}
