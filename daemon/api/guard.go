package api

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/protocol"
)

// framing is what the header says about the request's body.
type framing struct {
	// sized says that there is a Content-Length.
	sized bool
	// chunked says that the body comes in chunks.
	chunked bool
}

// readFraming checks the header as it was sent, before anything is believed
// that the parser made of it, and refuses whatever another server on the way
// could have read differently: such a difference lets one client put a request
// in front of another's (RFC 9112 section 11.2). The parser lets a
// Transfer-Encoding beside a Content-Length pass, and answers for the first of
// doubled fields.
func readFraming(h *fasthttp.RequestHeader) (framing, error) {
	var f framing
	var length string
	seen := map[string]bool{}
	for line := range bytes.Lines(h.RawHeaders()) {
		line, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		switch {
		case !crlf:
			return f, smuggled("a line of the header does not end in CR LF")
		case len(line) == 0:
			continue
		case line[0] == ' ' || line[0] == '\t':
			return f, smuggled("a header field is folded over two lines")
		}
		rawName, rawValue, _ := bytes.Cut(line, []byte(":"))
		name, value := strings.ToLower(string(rawName)), strings.Trim(string(rawValue), " \t")
		if seen[name] && single(name) {
			return f, smuggled("the header field " + name + " is there twice")
		}
		seen[name] = true
		switch name {
		case "content-length":
			f.sized, length = true, value
		case "transfer-encoding":
			f.chunked = true
			if value != "chunked" {
				return f, smuggled("the Transfer-Encoding is not chunked")
			}
		}
	}
	version := string(h.Protocol())
	switch {
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		return f, smuggled("this is neither HTTP/1.1 nor HTTP/1.0")
	case f.sized && f.chunked:
		return f, smuggled("there is a Content-Length and a Transfer-Encoding")
	case f.chunked && !h.IsHTTP11():
		return f, smuggled("HTTP/1.0 has no Transfer-Encoding")
	case f.sized && !isLength(length, h.ContentLength()):
		return f, smuggled("the Content-Length is not a length")
	}
	return f, nil
}

// single reports whether a field decides something and so may come only once.
// Of some of these HTTP allows several; no client of ours sends them so.
func single(name string) bool {
	switch name {
	case "content-length", "transfer-encoding", "host", "authorization", "range", "content-range", "content-type",
		"content-encoding", "content-digest", "idempotency-key", "expect", "origin", "sec-fetch-site", "x-request-id":
		return true
	}
	return strings.HasPrefix(name, "osp-") || strings.HasPrefix(name, "if-")
}

// isLength reports whether text is n in decimal digits: the parser of this
// version lets values beyond 64 bits wrap round.
func isLength(text string, n int) bool {
	if text == "" || len(text) > 19 {
		return false
	}
	var v uint64
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
		v = v*10 + uint64(c-'0')
	}
	return n >= 0 && v == uint64(n)
}

func smuggled(what string) error {
	return closing{&protocol.Error{Kind: protocol.KindBadRequest, Message: what + "; nothing was done, and the connection is closed"}}
}

// closing is an error after which the connection cannot be trusted to be at
// the beginning of a request.
type closing struct{ error }

func (c closing) Unwrap() error { return c.error }

// checkSite keeps web pages out of a daemon that has no tokens: a page may
// send requests to this machine's ports, and may own a name that resolves to
// it (DNS rebinding), but cannot forge these fields. Where there are tokens no
// page has one. Where that cannot be found out now, the fields are checked:
// nobody who is let in by them gets past authenticate.
//
// A link may be followed from any page: it is the right to what it does. And the
// pages of origins that are configured may do what the daemon's own may.
func (c *call) checkSite(g guard) error {
	s, h := c.srv, &c.http.Request.Header
	if s.cfg.Hosts == nil || c.door.peers {
		return nil
	}
	if open, err := s.cfg.Tokens.Open(c.ctx); err == nil && !open {
		return nil
	}
	if err := s.checkHost(h); err != nil {
		return err
	}
	if g.access == byLink || g.access == bySignature || c.origin != "" {
		return nil
	}
	return sameSite(h)
}

// checkHost refuses names that are not the daemon's own.
func (s *Server) checkHost(h *fasthttp.RequestHeader) error {
	if s.cfg.Hosts != nil && !s.hosts[hostName(strings.ToLower(string(h.Host())))] {
		return &protocol.Error{Kind: protocol.KindBadHost, Message: "without a token this daemon answers only to its own names",
			Hint: "Use the address it printed at start, or set public_url."}
	}
	return nil
}

// sameSite refuses what a page of another site sent.
func sameSite(h *fasthttp.RequestHeader) error {
	host := strings.ToLower(string(h.Host()))
	if origin := strings.ToLower(string(h.Peek("Origin"))); origin != "" {
		if _, from, _ := strings.Cut(origin, "://"); from != host {
			return badOrigin()
		}
	}
	if site := string(h.Peek("Sec-Fetch-Site")); site == "cross-site" || site == "same-site" {
		return badOrigin()
	}
	return nil
}

func badOrigin() error {
	return &protocol.Error{Kind: protocol.KindBadOrigin, Message: "without a token this daemon refuses requests from pages of other sites"}
}

func hostSet(hosts []string) map[string]bool {
	set := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		set[hostName(strings.ToLower(h))] = true
	}
	return set
}

// hostName is a Host without its port. The port says nothing about who asks: a
// tunnel or a mapping gives the listener another one.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// stripPeer removes the fields that only another node may send.
func stripPeer(h *fasthttp.RequestHeader) {
	var names []string
	for _, key := range h.PeekKeys() {
		if name := string(key); strings.HasPrefix(strings.ToLower(name), "osp-peer-") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		h.Del(name)
	}
}

// checkBody refuses a body the route does not take, before any of it is read.
func checkBody(e endpoint, f framing, h *fasthttp.RequestHeader) error {
	rule := e.body
	switch enc := string(h.Peek("Content-Encoding")); {
	case rule == bodyIgnored:
		return nil
	case f.chunked && e.chunked == 0:
		return closing{&protocol.Error{Kind: protocol.KindLengthRequired, Message: "a body is taken only with its length; nothing was read of it",
			Hint: "Send Content-Length instead of Transfer-Encoding: chunked."}}
	case enc != "" && !strings.EqualFold(enc, "identity"):
		return &protocol.Error{Kind: protocol.KindUnsupportedMediaType, Message: "a body is taken only as it is, without Content-Encoding"}
	case rule == bodyBytes && !f.sized && !f.chunked:
		return &protocol.Error{Kind: protocol.KindLengthRequired, Message: "this request needs a Content-Length"}
	case rule == bodyNone && f.sized && h.ContentLength() > 0:
		return protocol.Errorf(protocol.KindBadRequest, "this request takes no body")
	case rule == bodyBytes && e.most > 0 && int64(h.ContentLength()) > e.most:
		return &protocol.Error{Kind: protocol.KindTooLarge, Message: fmt.Sprintf("a file of one request has at most %d bytes; nothing was stored", e.most),
			Hint: "Begin an upload (POST /v1/uploads) and send it in parts."}
	case rule == bodyJSON && h.ContentLength() > maxJSON:
		return protocol.Errorf(protocol.KindTooLarge, "the body of this request has at most %d bytes", maxJSON)
	}
	return nil
}
