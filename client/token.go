package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/osproxy/osproxy/protocol"
)

// Tokens is GET /v1/tokens: what is known of the owner's tokens, of everybody's
// for "". It needs a token with protocol.ScopeAdmin.
func (c *Client) Tokens(ctx context.Context, owner protocol.Owner) (list protocol.TokenList, err error) {
	q := url.Values{}
	if owner != "" {
		q.Set("owner", string(owner))
	}
	_, err = c.call(ctx, request{op: "list tokens", method: http.MethodGet, path: "/v1/tokens", query: q}, &list)
	return list, err
}

// CreateToken is POST /v1/tokens. The answer is the only one that ever has the
// token itself: one that is lost is revoked and made anew.
func (c *Client) CreateToken(ctx context.Context, t protocol.CreateToken) (made protocol.CreatedToken, err error) {
	_, err = c.call(ctx, request{op: "create the token", method: http.MethodPost, path: "/v1/tokens", body: t}, &made)
	return made, err
}

// RevokeToken is DELETE /v1/tokens/{id}. It holds within 5 s.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{op: "revoke token " + id, method: http.MethodDelete, path: "/v1/tokens/" + url.PathEscape(id)}, nil)
	return err
}
