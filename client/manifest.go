package client

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// Manifest is a page of GET /v1/jobs/{id}/manifest, of an import. limit is at
// most 1000, 0 the daemon's; cursor is the last page's Next, "" for the first.
func (c *Client) Manifest(ctx context.Context, id protocol.JobID, limit int, cursor string) (m protocol.Manifest, err error) {
	_, err = c.call(ctx, request{op: "read the manifest of job " + id.String(), method: http.MethodGet,
		path: protocol.RouteOf(protocol.RouteGetManifest).ExpandID(id.String()), query: page(limit, cursor)}, &m)
	return m, err
}
