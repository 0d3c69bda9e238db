package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/osproxy/osproxy/protocol"
)

// CreateLinks is POST /v1/links: the links, in order. It signs all or none. A
// repeated call with the same idempotency key ("" for none) gives the same links.
func (c *Client) CreateLinks(ctx context.Context, links []protocol.NewLink, key string) ([]protocol.Link, error) {
	var list protocol.LinkList
	_, err := c.call(ctx, request{op: "sign links", method: http.MethodPost, path: "/v1/links", header: idempotency(key), body: protocol.CreateLinks{Links: links}}, &list)
	return list.Links, err
}

// RevokeLinks is DELETE /v1/links?uid=UID: the links of one file end that were
// signed by now.
func (c *Client) RevokeLinks(ctx context.Context, uid protocol.UID) error {
	return c.revokeLinks(ctx, "revoke the links of "+uid.String(), url.Values{"uid": {uid.String()}})
}

// RevokeAllLinks is DELETE /v1/links?all=true: all of the owner's end.
func (c *Client) RevokeAllLinks(ctx context.Context) error {
	return c.revokeLinks(ctx, "revoke all links", url.Values{"all": {"true"}})
}

func (c *Client) revokeLinks(ctx context.Context, op string, query url.Values) error {
	_, err := c.call(ctx, request{op: op, method: http.MethodDelete, path: "/v1/links", query: query}, nil)
	return err
}
