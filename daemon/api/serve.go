package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/token"
	"github.com/osproxy/osproxy/protocol"
)

// call is one request on its way through the server.
type call struct {
	srv    *Server
	door   *door
	http   *fasthttp.RequestCtx
	ctx    context.Context
	cancel context.CancelCauseFunc
	start  time.Time
	id     string
	trace  protocol.Trace
	caller token.Caller // nobody, until authenticate says who
	// grant and linkText are of the link that let the caller in, nil and "" without
	// one.
	grant    *link.Grant
	linkText string
	// from is what is believed of a peer that hands the call on, nil without one.
	from *peer.Verified
	// held is the body where it was read whole, so that it can be sent on; release
	// gives its memory back.
	held    []byte
	release func()
	// form is the file of v0's form, nil before there is one.
	form *handedForm
	// handedTo is where the call was handed on to, nil where it was not.
	handedTo *holder.Elsewhere
	// origin is whose pages may have the answer (cors.go), "" for nobody's.
	origin string

	// v0 says that the request is for v0, and is answered as v0 answers.
	v0     bool
	match  match
	uid    protocol.UID        // where the route has one
	number protocol.PartNumber // where the route has one
	query  map[string]string   // the route's parameters that were given
	rawURL struct{ path, query string }
	body   *body

	// What becomes of it, for the log line and the metrics.
	status int
	kind   protocol.Kind // "" when it was answered as asked
	sent   int64
	// cut says that the answer ended early and the connection with it.
	cut bool
	// streaming says that the answer's body is written after the handler
	// returned; its end ends the call.
	streaming bool
}

// serve is the wrapper round every handler. Deferred calls run from the last
// to the first: a panic becomes an answer, then the rest of the body goes,
// then the request is accounted for.
func (s *Server) serve(d *door, http *fasthttp.RequestCtx) {
	c := s.newCall(d, http)
	defer func() {
		if !c.streaming {
			c.finish()
		}
	}()
	defer c.leaveBody()
	defer func() {
		if c.release != nil {
			c.release()
		}
	}()
	defer c.catch()
	if err := c.admit(); err != nil {
		c.fail(err)
		return
	}
	if err := c.elsewhere(c.match.endpoint.serve(c)); err != nil {
		c.fail(err)
	}
}

// expect decides on a request whose client waits with the body until it is
// told to go on: what the header alone is enough to refuse is refused, and the
// body is never sent.
func (d *door) expect(http *fasthttp.RequestCtx) int {
	c := d.srv.newCall(d, http)
	if c.refusedEarly() {
		lingerOn(http.Conn())
		c.finish()
		return c.status
	}
	c.abandon()
	// The connection may carry the deadline of an earlier answer.
	if http.Conn().SetDeadline(time.Now().Add(d.limits.Stall)) != nil {
		return fasthttp.StatusExpectationFailed
	}
	return fasthttp.StatusContinue
}

func (c *call) refusedEarly() (refused bool) {
	defer func() { refused = c.status != 0 }()
	defer c.catch()
	if err := c.admit(); err != nil {
		c.fail(err)
	}
	return false
}

func (s *Server) newCall(d *door, http *fasthttp.RequestCtx) *call {
	s.active.begin()
	d.conns.busy(http.Conn())
	s.met.InFlight(1)
	c := &call{srv: s, door: d, http: http, start: time.Now(), id: requestID(http.Request.Header.Peek(protocol.HeaderRequestID))}
	c.countPeers(1)
	c.trace = traceOf(&http.Request.Header)
	c.ctx, c.cancel = context.WithCancelCause(protocol.WithTrace(s.base, c.trace))
	c.body = &body{conn: http.Conn(), limits: d.limits, cancel: c.cancel}
	if src := http.RequestBodyStream(); src != nil {
		c.body.src = src
		c.body.want = max(0, int64(http.Request.Header.ContentLength()))
	}
	c.v0 = isV0(string(http.Request.Header.RequestURI()))
	c.setAlways()
	return c
}

// requestID is the caller's, if it has the form of WIRE 1, else a new one.
func requestID(given []byte) string {
	if id := string(given); protocol.ValidRequestID(id) {
		return id
	}
	var id [10]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}

// admit applies the guards in order and finds the route. It reads the header
// alone.
func (c *call) admit() error {
	h := &c.http.Request.Header
	f, err := readFraming(h)
	if err != nil {
		return err
	}
	if f.chunked {
		c.closeAfter()
	}
	if c.rawURL.path, c.rawURL.query, err = splitTarget(h.RequestURI(), h.Host()); err != nil {
		return closing{err}
	}
	if c.door.peers {
		if err := c.verify(); err != nil {
			return err
		}
	} else {
		stripPeer(h)
	}
	found, unknown := c.route()
	if err := c.checkSite(found.guard); err != nil {
		return err
	}
	if c.match = found; unknown != nil {
		return unknown
	}
	if t, ok := plain(c.http.Conn()).(*tcpConn); ok && t.full && !c.match.endpoint.health {
		return closing{errTooMany()}
	}
	if c.srv.active.isDraining() {
		c.closeAfter()
		if !c.match.endpoint.health {
			return &protocol.Error{Kind: protocol.KindDraining, Message: "the daemon is stopping; nothing was done"}
		}
	}
	if c.match.preflight {
		return checkBody(c.match.endpoint, f, h)
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	if err := checkBody(c.match.endpoint, f, h); err != nil {
		return err
	}
	if f.chunked {
		c.body.most = c.match.endpoint.chunked
	}
	return c.readTarget()
}

// readTarget parses the variable parts of the path and the query.
func (c *call) readTarget() (err error) {
	if c.match.uid != "" {
		if c.uid, err = protocol.ParseUID(c.match.uid); err != nil {
			return err
		}
	}
	if c.match.number != "" {
		if c.number, err = protocol.ParsePartNumber(c.match.number); err != nil {
			return err
		}
	}
	if c.grant != nil && c.match.uid != "" && c.uid != c.grant.UID {
		return protocol.Errorf(protocol.KindForbidden, "this link is for another uid; nothing was done")
	}
	if c.match.name == protocol.RoutePutLink {
		if _, err := c.linkedFile(); err != nil {
			return err
		}
	}
	if !c.v0 {
		c.query, err = parseQuery(c.rawURL.query, c.match.endpoint.query)
	}
	return err
}

// catch turns a panic of a handler into an answer. The stack goes to the log
// alone.
func (c *call) catch() {
	v := recover()
	if v == nil {
		return
	}
	c.srv.log.LogAttrs(c.ctx, slog.LevelError, "panic", slog.String("request_id", c.id), c.traceID(),
		slog.String("route", string(c.match.name)), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	c.http.Response.Header.Reset()
	c.setAlways()
	c.closeAfter()
	c.fail(fmt.Errorf("panic: %v", v))
}

// leaveBody brings the connection to the beginning of the next request, or has
// it closed after the answer.
func (c *call) leaveBody() {
	switch {
	case !c.body.leave():
		c.closeAfter()
	case c.srv.active.isDraining():
		c.http.SetConnectionClose()
	}
}

// closeAfter closes the connection after the answer, and gives the answer the
// time to arrive.
func (c *call) closeAfter() {
	c.http.SetConnectionClose()
	lingerOn(c.http.Conn())
}
