package api

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Browsers give a page what another origin answers only where that says so (the
// CORS protocol of the Fetch standard). Here an origin is named in the
// configuration or it is not answered so. Access-Control-Allow-Credentials is
// never sent: a page names its token itself, and no cookie means anything here.

// AnyOrigin among the origins lets the pages of all origins use signed links,
// and nothing else: a link is the right to what it does, wherever it is used.
const AnyOrigin = "*"

// requestHeaders are the fields of requests that mean something here and that a
// page may send only when it is told so. Tracestate means nothing here: tracers
// of pages send it beside Traceparent (W3C Trace Context), and were it not named,
// the browser would refuse them the request.
const requestHeaders = "Authorization, Content-Type, Content-Digest, Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, " +
	"Idempotency-Key, Osp-Xxh3, X-Request-Id, Traceparent, Tracestate"

// answerHeaders are the fields of answers that a page may read, beside those
// that it always may (Cache-Control, Content-Length, Content-Type, Last-Modified …).
const answerHeaders = "Accept-Ranges, Allow, Content-Digest, Content-Disposition, Content-Range, ETag, Link, Location, Osp-Repeated, Repr-Digest, Retry-After, " +
	"WWW-Authenticate, X-Request-Id"

// preflightAge is how many seconds a browser may go by what a preflight was
// answered.
const preflightAge = "600"

// origins are those whose pages may use the API. The zero value is none.
type origins struct {
	named []string
	any   bool
}

func newOrigins(list []string) origins {
	named := slices.DeleteFunc(slices.Clone(list), func(o string) bool { return o == AnyOrigin })
	return origins{named: named, any: len(named) < len(list)}
}

func (o origins) none() bool { return !o.any && len(o.named) == 0 }

// CheckOrigin refuses what no browser sends as Origin, so that what is
// configured is compared as it is.
func CheckOrigin(origin string) error {
	if origin == AnyOrigin {
		return nil
	}
	if origin == "null" {
		return errors.New(`"null" is the origin of any sandboxed page, and so of nobody`)
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Contains(u.Host, "*") {
		return fmt.Errorf("%q is not an origin; it is like https://app.example.com or http://localhost:3000", origin)
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	if sent := u.Scheme + "://" + strings.TrimSuffix(host, ":"); sent != origin {
		return fmt.Errorf("%q is not as browsers write it; write %s", origin, sent)
	}
	if strings.ContainsFunc(host, func(c rune) bool { return c > '~' }) {
		return fmt.Errorf("%q has letters that browsers write in another way; write the host as xn--…", origin)
	}
	return nil
}

// allowNamed says on the answer that the page may have it, if its origin is
// named. That comes before all else, so that a page can also read why it is
// refused.
func (c *call) allowNamed() {
	if c.srv.origins.none() {
		return
	}
	c.http.Response.Header.Set("Vary", "Origin")
	if origin := c.header("Origin"); slices.Contains(c.srv.origins.named, origin) {
		c.origin = origin
	}
	if c.origin != "" {
		c.allow(c.origin)
	}
}

// allowLinks says the same to pages of all origins, for links.
func (c *call) allowLinks(g guard) {
	if c.srv.origins.any && (g.access == byLink || g.access == bySignature) && c.origin == "" && c.given("Origin") {
		c.allow(AnyOrigin)
	}
}

func (c *call) allow(origin string) {
	c.origin = origin
	c.http.Response.Header.Set("Access-Control-Allow-Origin", origin)
	c.http.Response.Header.Set("Access-Control-Expose-Headers", answerHeaders)
}

// preflights reports whether a browser asks if a page may send another request,
// of the method given. It sends no token with it.
func (c *call) preflights() (method string, ok bool) {
	method = c.header("Access-Control-Request-Method")
	return method, method != "" && c.http.IsOptions() && c.given("Origin") && !c.srv.origins.none()
}

// preflight answers that it may. Nothing of the request that is announced is
// looked at but its route.
func (c *call) preflight() error {
	h := &c.http.Response.Header
	h.Set("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", c.header("Access-Control-Request-Method"))
	h.Set("Access-Control-Allow-Headers", requestHeaders)
	h.Set("Access-Control-Max-Age", preflightAge)
	c.writeNothing()
	return nil
}

// route finds what serves the request, or answers its preflight: only for what
// there is, and only for pages that may have it.
func (c *call) route() (match, error) {
	h := &c.http.Request.Header
	if method, ok := c.preflights(); ok && !c.door.peers {
		m, err := c.routes().find(method, c.rawURL.path)
		if c.allowLinks(m.guard); c.origin != "" {
			m.endpoint, m.preflight = endpoint{serve: (*call).preflight, health: true}, true
			return m, err
		}
	}
	m, err := c.routes().find(string(h.Method()), c.rawURL.path)
	if !c.door.peers {
		c.allowLinks(m.guard)
	}
	return m, err
}
