package client

import (
	"context"
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

// Webhooks is GET /v1/webhooks: all that the token may see.
func (c *Client) Webhooks(ctx context.Context) (list protocol.WebhookList, err error) {
	_, err = c.call(ctx, request{op: "list webhooks", method: http.MethodGet, path: "/v1/webhooks"}, &list)
	return list, err
}

// CreateWebhook is POST /v1/webhooks. The answer is the only one that ever has
// the secret.
func (c *Client) CreateWebhook(ctx context.Context, w protocol.CreateWebhook) (made protocol.CreatedWebhook, err error) {
	_, err = c.call(ctx, request{op: "create the webhook", method: http.MethodPost, path: "/v1/webhooks", body: w}, &made)
	return made, err
}

// Webhook is GET /v1/webhooks/{id}.
func (c *Client) Webhook(ctx context.Context, id protocol.WebhookID) (w protocol.Webhook, err error) {
	_, err = c.call(ctx, request{op: "ask for webhook " + id.String(), method: http.MethodGet, path: webhookPath(id)}, &w)
	return w, err
}

// RemoveWebhook is DELETE /v1/webhooks/{id}: nothing is sent to it any more.
func (c *Client) RemoveWebhook(ctx context.Context, id protocol.WebhookID) error {
	_, err := c.call(ctx, request{op: "remove webhook " + id.String(), method: http.MethodDelete, path: webhookPath(id)}, nil)
	return err
}

// TestWebhook is POST /v1/webhooks/{id}/test: a message is sent at once. That it
// did not arrive is no error.
func (c *Client) TestWebhook(ctx context.Context, id protocol.WebhookID) (t protocol.WebhookTest, err error) {
	_, err = c.call(ctx, request{op: "test webhook " + id.String(), method: http.MethodPost, path: webhookPath(id) + "/test"}, &t)
	return t, err
}

// ReplayWebhook is POST /v1/webhooks/{id}/replay: what was given up is sent
// again.
func (c *Client) ReplayWebhook(ctx context.Context, id protocol.WebhookID) (r protocol.WebhookReplay, err error) {
	_, err = c.call(ctx, request{op: "replay webhook " + id.String(), method: http.MethodPost, path: webhookPath(id) + "/replay"}, &r)
	return r, err
}

func webhookPath(id protocol.WebhookID) string { return "/v1/webhooks/" + id.String() }
