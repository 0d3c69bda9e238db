package api

import (
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

func (c *call) listWebhooks() error {
	list, err := c.srv.cfg.Webhooks.List(c.ctx, c.reaching())
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
	made, err := c.srv.cfg.Webhooks.Create(c.ctx, c.reaching(), create)
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
	w, err := c.srv.cfg.Webhooks.Webhook(c.ctx, c.reaching(), id)
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
	if err := c.srv.cfg.Webhooks.Remove(c.ctx, c.reaching(), id); err != nil {
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
	t, err := c.srv.cfg.Webhooks.Test(c.ctx, c.reaching(), id)
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
	r, err := c.srv.cfg.Webhooks.Replay(c.ctx, c.reaching(), id)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, r)
	return nil
}
