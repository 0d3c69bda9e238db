package client

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// Nodes is GET /v1/nodes: the daemons that share the daemon's database.
func (c *Client) Nodes(ctx context.Context) (list protocol.NodeList, err error) {
	_, err = c.call(ctx, request{op: "list the nodes", method: http.MethodGet, path: "/v1/nodes"}, &list)
	return list, err
}
