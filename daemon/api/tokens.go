package api

import (
	"net/http"

	"github.com/osproxy/osproxy/protocol"
)

func (c *call) listTokens() error {
	list, err := c.srv.cfg.Tokens.List(c.ctx, protocol.Owner(c.query["owner"]))
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}

func (c *call) createToken() error {
	b, err := c.readJSON()
	if err != nil {
		return err
	}
	var create protocol.CreateToken
	if err := protocol.DecodeRequest(b, &create); err != nil {
		return err
	}
	made, err := c.srv.cfg.Tokens.CreateBy(c.ctx, c.caller, create)
	if protocol.KindOf(err) == protocol.KindUnauthenticated {
		return withHeader("WWW-Authenticate", "Bearer", err)
	}
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusCreated, made)
	return nil
}

func (c *call) revokeToken() error {
	if err := c.srv.cfg.Tokens.Revoke(c.ctx, c.match.id); err != nil {
		return err
	}
	c.writeNothing()
	return nil
}
