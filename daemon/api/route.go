package api

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// bodyRule is what a route expects as body.
type bodyRule int

const (
	// bodyNone: a request with a body is refused.
	bodyNone bodyRule = iota
	// bodyJSON: read whole, at most maxJSON; empty is allowed here.
	bodyJSON
	// bodyBytes: Content-Length is required; the handler reads.
	bodyBytes
	// bodyIgnored: whatever it is, nobody reads it.
	bodyIgnored
)

// endpoint is what serves a route and what it accepts.
type endpoint struct {
	serve func(*call) error
	body  bodyRule
	// query are the parameters; one that ends in a dot is a prefix.
	query []string
	// most bounds a body of bodyBytes; 0 leaves it to the handler.
	most int64
	// chunked is how many bytes are taken of a body that does not say its length,
	// 0 for none of such.
	chunked int64
	// health routes answer while draining.
	health bool
	// handed says that a request may be handed to the node that has what it needs.
	handed bool
}

// match is where a request goes.
type match struct {
	name     protocol.RouteName
	path     string // as the table has it
	endpoint endpoint
	guard    guard
	uid      string
	number   string
	id       string
	token    string
	// preflight says that a browser asks whether a page may send such a request.
	preflight bool
}

// router finds routes of protocol.Routes. A path that is not spelled as the
// table spells it is never the same as one that is.
type router struct{ routes []compiled }

type compiled struct {
	protocol.Route
	segments []string
	endpoint endpoint
	guard    guard
}

func newRouter(endpoints map[protocol.RouteName]endpoint) router {
	var r router
	guards := guards()
	for _, route := range protocol.Routes() {
		if e, ok := endpoints[route.Name]; ok {
			r.routes = append(r.routes, compiled{route, strings.Split(route.Path, "/"), e, guards[route.Name]})
		}
	}
	r.routes = append(r.routes, pageRoutes()...)
	return r
}

// find gives the route of method and path. HEAD goes where GET goes unless it
// has a route of its own; fasthttp leaves the body out.
func (r router) find(method, path string) (match, error) {
	if err := checkPath(path); err != nil {
		return match{}, err
	}
	segments := strings.Split(path, "/")
	var allow []string
	var get *match
	for i := range r.routes {
		m, ok := r.routes[i].match(segments)
		if !ok {
			continue
		}
		if r.routes[i].Method == method {
			return m, nil
		}
		if r.routes[i].Method == http.MethodGet {
			get = &m
			allow = append(allow, http.MethodHead)
		}
		allow = append(allow, r.routes[i].Method)
	}
	switch {
	case get != nil && method == http.MethodHead:
		return *get, nil
	case allow != nil:
		slices.Sort(allow)
		allowed := strings.Join(slices.Compact(allow), ", ")
		return match{}, withHeader("Allow", allowed, &protocol.Error{Kind: protocol.KindMethodNotAllowed,
			Message: "this path does not have the method", Hint: "It has " + allowed + "."})
	}
	return match{}, &protocol.Error{Kind: protocol.KindNotFound, Message: "there is no such path",
		Hint: "Paths begin with /v1/ and do not end in a slash."}
}

func (c *compiled) match(segments []string) (match, bool) {
	if len(segments) != len(c.segments) {
		return match{}, false
	}
	m := match{name: c.Name, path: c.Path, endpoint: c.endpoint, guard: c.guard}
	for i, want := range c.segments {
		got := segments[i]
		switch {
		case want == "{uid}" && got != "":
			m.uid = got
		case want == "{number}" && got != "":
			m.number = got
		case want == "{id}" && got != "":
			m.id = got
		case want == "{token}" && got != "":
			m.token = got
		case got != want:
			return match{}, false
		}
	}
	return m, true
}

// checkPath refuses what some server on the way may read as another path. No
// route needs an escape, so none is decoded.
func checkPath(path string) error {
	bad := !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "%\\") || strings.Contains(path, "//")
	for seg := range strings.SplitSeq(path, "/") {
		bad = bad || seg == "." || seg == ".."
	}
	if bad {
		return &protocol.Error{Kind: protocol.KindBadRequest, Message: "the path is not in canonical form",
			Hint: "Send it without escapes, empty segments and dot segments."}
	}
	return nil
}

// splitTarget parts a request target into path and query. The absolute form
// (RFC 9112 section 3.2.2) must name the host that the Host header names.
func splitTarget(target, host []byte) (path, query string, err error) {
	if scheme, rest, ok := bytes.Cut(target, []byte("://")); ok && target[0] != '/' {
		end := bytes.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if !bytes.EqualFold(rest[:end], host) || !(bytes.EqualFold(scheme, []byte("http")) || bytes.EqualFold(scheme, []byte("https"))) {
			return "", "", protocol.Errorf(protocol.KindBadRequest, "the request target names another host than the Host header")
		}
		target = rest[end:]
		if len(target) == 0 || target[0] == '?' {
			target = append([]byte{'/'}, target...)
		}
	}
	path, query, _ = strings.Cut(string(target), "?")
	return path, query, nil
}
