package api

import (
	"net/http"

	"github.com/osproxy/osproxy/daemon/webhook"
	"github.com/osproxy/osproxy/protocol"
)

// webhookCaller is who asks about webhooks. Who runs the installation reaches
// all of them.
func (c *call) webhookCaller() webhook.Caller {
	return webhook.Caller{Owner: c.caller.Owner, All: c.caller.Scopes.Has(protocol.ScopeAdmin)}
}

func (c *call) listWebhooks() error {
	list, err := c.srv.cfg.Webhooks.List(c.ctx, c.webhookCaller())
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

func (c *call) createWebhook() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var create protocol.CreateWebhook
	if err := protocol.DecodeRequest(b, &create); err != nil {
		return err
	}
	made, err := c.srv.cfg.Webhooks.Create(c.ctx, c.webhookCaller(), create)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusCreated, made)
	return nil
}

func (c *call) getWebhook() error {
	id, err := protocol.ParseWebhookID(c.match.id)
	if err != nil {
		return err
	}
	w, err := c.srv.cfg.Webhooks.Webhook(c.ctx, c.webhookCaller(), id)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, w)
	return nil
}

func (c *call) removeWebhook() error {
	id, err := protocol.ParseWebhookID(c.match.id)
	if err != nil {
		return err
	}
	if err := c.srv.cfg.Webhooks.Remove(c.ctx, c.webhookCaller(), id); err != nil {
		return err
	}
	c.writeNothing()
	return nil
}

func (c *call) testWebhook() error {
	id, err := protocol.ParseWebhookID(c.match.id)
	if err != nil {
		return err
	}
	t, err := c.srv.cfg.Webhooks.Test(c.ctx, c.webhookCaller(), id)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, t)
	return nil
}

func (c *call) replayWebhook() error {
	id, err := protocol.ParseWebhookID(c.match.id)
	if err != nil {
		return err
	}
	r, err := c.srv.cfg.Webhooks.Replay(c.ctx, c.webhookCaller(), id)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, r)
	return nil
}
