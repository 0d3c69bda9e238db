package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/osproxy/osproxy/daemon/api/docs"
	"github.com/osproxy/osproxy/protocol"
)

// pageName is the name of the routes of the page of documentation, which is no
// part of the API: it is in neither protocol.Routes nor the document that it
// shows.
const pageName protocol.RouteName = "docs"

// pageRoutes are those of the page. Everybody may have it, as the description: who
// tries a request out needs a token for it as ever.
func pageRoutes() []compiled {
	route := func(path string, serve func(*call) error) compiled {
		return compiled{protocol.Route{Name: pageName, Method: http.MethodGet, Path: path}, strings.Split(path, "/"),
			endpoint{serve: serve}, guard{access: public}}
	}
	routes := []compiled{
		route("/docs/", leadsTo("../docs")),
		route("/swagger", leadsTo("swagger/index.html")),
		route("/swagger/", leadsTo("index.html")),
	}
	for _, a := range docs.Assets() {
		routes = append(routes, route(a.Path, func(c *call) error { c.writeAsset(a); return nil }))
	}
	return routes
}

// leadsTo answers with a redirect to an address that is relative, since there may
// be a proxy that has all of this below a folder.
func leadsTo(address string) func(*call) error {
	return func(c *call) error {
		c.status = http.StatusFound
		c.http.Response.Header.Set("Location", address)
		c.http.SetStatusCode(http.StatusFound)
		return nil
	}
}

func (c *call) writeAsset(a docs.Asset) {
	h := &c.http.Response.Header
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", docs.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	etag, packed := `"`+a.Sum()+`"`, false
	if a.Packed != nil {
		h.Set("Vary", strings.TrimPrefix(string(h.Peek("Vary"))+", Accept-Encoding", ", "))
		if packed = takesGzip(c.header("Accept-Encoding")); packed {
			etag = `"` + a.Sum() + `-gzip"`
		}
	}
	h.Set("ETag", etag)
	if match := c.header("If-None-Match"); match != "" && listed(match, etag, weakMatch) {
		c.status = http.StatusNotModified
		c.http.SetStatusCode(http.StatusNotModified)
		return
	}
	body := a.Packed
	if packed {
		h.Set("Content-Encoding", "gzip")
	} else {
		body = a.Plain()
	}
	h.SetContentType(a.MediaType)
	c.status = http.StatusOK
	c.http.Response.SetBodyRaw(body)
	if !c.http.IsHead() {
		c.sent = int64(len(body))
	}
}

// takesGzip reads an Accept-Encoding (RFC 9110, 12.5.3). One that only says what
// it does not take, or "*", gets the bytes as they are.
func takesGzip(field string) bool {
	for member := range strings.SplitSeq(field, ",") {
		coding, weight, weighted := strings.Cut(member, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		text, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
		q, err := strconv.ParseFloat(text, 64)
		return !weighted || ok && err == nil && q > 0
	}
	return false
}
