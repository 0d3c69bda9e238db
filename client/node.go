package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/osproxy/osproxy/protocol"
)

// Nodes is GET /v1/nodes: the daemons that share the daemon's database.
func (c *Client) Nodes(ctx context.Context) (list protocol.NodeList, err error) {
	_, err = c.call(ctx, request{op: "list the nodes", method: http.MethodGet, path: "/v1/nodes"}, &list)
	return list, err
}

// DrainNode is PATCH /v1/nodes/{id}: it says whether a node is to take nothing new,
// and gives it as it is then. KindConflict is that it is the last one which takes it.
func (c *Client) DrainNode(ctx context.Context, id string, drain bool) (n protocol.Node, err error) {
	_, err = c.call(ctx, request{op: "drain node " + id, method: http.MethodPatch, path: "/v1/nodes/" + url.PathEscape(id), body: protocol.PatchNode{Draining: &drain}}, &n)
	return n, err
}
