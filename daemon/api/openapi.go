package api

import (
	"net/http"

	"github.com/osproxy/osproxy/daemon/api/openapi"
	"github.com/osproxy/osproxy/protocol"
)

// openAPI answers with the document that describes this API.
func (c *call) openAPI() error {
	c.writeBody(http.StatusOK, c.srv.document)
	return nil
}

// described is what this server knows of its routes, for the document.
func described(endpoints map[protocol.RouteName]endpoint) []openapi.Route {
	guards := guards()
	var routes []openapi.Route
	for _, r := range protocol.Routes() {
		e, g := endpoints[r.Name], guards[r.Name]
		d := openapi.Route{Route: r, Query: e.query, Drains: !e.health}
		switch g.access {
		case byToken:
			d.Access, d.Scopes, d.LinkToo = openapi.ByToken, []protocol.Scope{g.scope}, g.link != ""
			if g.or != "" {
				d.Scopes = append(d.Scopes, g.or)
			}
		case byLink:
			d.Access = openapi.ByLink
		}
		switch e.body {
		case bodyJSON:
			d.Body = openapi.JSON
		case bodyBytes:
			d.Body = openapi.Bytes
		}
		routes = append(routes, d)
	}
	return routes
}
