package client

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// Stores is GET /v1/stores: all stores of the daemon, asked just now.
func (c *Client) Stores(ctx context.Context) (list protocol.StoreList, err error) {
	_, err = c.call(ctx, request{op: "list the stores", method: http.MethodGet, path: "/v1/stores"}, &list)
	return list, err
}
