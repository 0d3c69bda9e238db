package api

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// Nodes lists the daemons that work on the database.
type Nodes interface {
	List(ctx context.Context) (protocol.NodeList, error)
}

func (c *call) listNodes() error {
	list, err := c.srv.cfg.Nodes.List(c.ctx)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}
