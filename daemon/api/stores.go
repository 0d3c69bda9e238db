package api

import "net/http"

func (c *call) listStores() error {
	list, err := c.srv.cfg.Stores.List(c.ctx)
	if err != nil {
		return err
	}
	c.writeJSON(http.StatusOK, list)
	return nil
}
