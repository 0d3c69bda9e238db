package api

import (
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

func (c *call) getManifest() error {
	id, err := protocol.ParseJobID(c.match.id)
	if err != nil {
		return err
	}
	limit, err := c.limit()
	if err != nil {
		return err
	}
	page, err := c.srv.cfg.Manifests.Page(c.ctx, c.reaching(), id, limit, c.query["cursor"])
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, page)
	return nil
}
