package upload

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

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
