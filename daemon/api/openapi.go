package api

import (
	"net/http"

	"github.com/osproxy/osproxy/daemon/api/openapi"
	"github.com/osproxy/osproxy/protocol"
)

// openAPI answers with the document that describes this API.
func (c *call) openAPI() error {
	c.writeBody(http.StatusOK, c.srv.document())
	return nil
}

// Document is the OpenAPI document of a daemon of that version.
func Document(version string) []byte {
	return openapi.Document(version, described(new(Server).endpoints()))
}

// described is what a server knows of its routes, for the document.
func described(endpoints map[protocol.RouteName]endpoint) []openapi.Route {
	guards := guards()
	var routes []openapi.Route
	for _, r := range protocol.Routes() {
		routes = append(routes, describe(r, endpoints[r.Name], guards[r.Name]))
	}
	for _, row := range v0Rows() {
		d := describe(protocol.Route{Name: row.name, Method: row.method, Path: v0Prefix + row.path}, row.endpoint, row.guard)
		if d.Body == openapi.Bytes {
			d.Body = openapi.Form
		}
		routes = append(routes, d)
	}
	return routes
}

func describe(r protocol.Route, e endpoint, g guard) openapi.Route {
	d := openapi.Route{Route: r, Query: e.query, Drains: !e.health, Handed: e.handed}
	switch g.access {
	case byToken:
		d.Access, d.LinkToo = openapi.ByToken, g.link != ""
	case byLink:
		d.Access = openapi.ByLink
	case bySignature:
		d.Access = openapi.BySignature
	case byTokenOrAddress:
		d.Access = openapi.ByTokenOrAddress
	}
	for _, s := range []protocol.Scope{g.scope, g.or} {
		if s != "" {
			d.Scopes = append(d.Scopes, s)
		}
	}
	switch e.body {
	case bodyJSON:
		d.Body = openapi.JSON
	case bodyBytes:
		d.Body = openapi.Bytes
	}
	return d
}
