package api

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// Nodes lists the daemons that work on the database.
type Nodes interface {
	List(ctx context.Context) (protocol.NodeList, error)
	// Drain says whether a node is to take nothing new, and gives it as it is then.
	Drain(ctx context.Context, id string, drain *bool) (protocol.Node, error)
}

func (c *call) listNodes() error {
	list, err := c.srv.cfg.Nodes.List(c.ctx)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

func (c *call) patchNode() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var patch protocol.PatchNode
	if err := protocol.DecodeRequest(b, &patch); err != nil {
		return err
	}
	node, err := c.srv.cfg.Nodes.Drain(c.ctx, c.match.id, patch.Draining)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, node)
	return nil
}
