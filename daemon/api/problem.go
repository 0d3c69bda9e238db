package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/protocol"
)

// retryAfter is the advice where the error brings none.
const retryAfter = 2 * time.Second

// headerError is an error whose answer has a header field of its own.
type headerError struct {
	error
	name, value string
}

func withHeader(name, value string, err error) error { return headerError{err, name, value} }

func (e headerError) Unwrap() error { return e.error }

// fail answers with what err says. It is the only place where an error becomes
// an answer: the cause goes to the log, and to the wire only what an
// *protocol.Error says for the reader.
func (c *call) fail(err error) {
	e := c.named(c.explain(err))
	row := e.Kind.Row()
	if row.Status == 0 {
		e = &protocol.Error{Kind: protocol.KindInternal, Message: internalMessage, Err: err}
		row = e.Kind.Row()
	}
	c.kind, c.status = e.Kind, row.Status
	if row.Status >= http.StatusInternalServerError && e.Kind != protocol.KindDraining {
		c.srv.log.LogAttrs(c.ctx, slog.LevelError, "request failed", slog.String("request_id", c.id), c.traceID(),
			slog.String("route", string(c.match.name)), slog.String("code", string(e.Kind)), slog.Any("error", err))
	}
	problem := e.Problem(c.id)
	if c.v0 {
		problem.Status = v0Status(e.Kind)
		c.status = problem.Status
	} else if errors.Is(err, errBodySlow) {
		// The table's status says nothing of the client; this one does, and
		// net/http clients take it for a connection to be opened anew.
		problem.Status, c.status = http.StatusRequestTimeout, http.StatusRequestTimeout
	}
	h := &c.http.Response.Header
	if he, ok := errors.AsType[headerError](err); ok {
		h.Set(he.name, he.value)
	}
	if row.Status == http.StatusServiceUnavailable || row.Status == http.StatusTooManyRequests {
		after := e.RetryAfter
		if after <= 0 {
			after = retryAfter
		}
		h.Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
	}
	if _, ok := errors.AsType[closing](err); ok || c.body.err != nil {
		c.closeAfter()
	}
	if c.v0 {
		if c.status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", "Bearer")
		}
		c.writeV0(c.status, v0Message(e), "")
		return
	}
	c.writeJSON(c.status, problem)
	h.SetContentType("application/problem+json")
}

const internalMessage = "the daemon failed; what was acknowledged before is safe"

// explain finds the *protocol.Error in err, or makes one.
func (c *call) explain(err error) *protocol.Error {
	if c.body.err != nil && !errors.Is(err, c.body.err) {
		// The service says what it could not do; why is the body's to say.
		err = c.body.err
	}
	switch {
	case errors.Is(err, errBodyEnded):
		return &protocol.Error{Kind: protocol.KindBadLength, Message: "the body ended before its Content-Length; nothing was recorded", Err: err}
	case errors.Is(err, errBodySlow):
		return &protocol.Error{Kind: protocol.KindUnavailable, Message: "the request stopped coming; nothing was recorded", Err: err}
	case c.srv.base.Err() != nil && errors.Is(err, context.Canceled):
		return &protocol.Error{Kind: protocol.KindDraining, Message: "the daemon is stopping; nothing was recorded", Err: err}
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return e
	}
	return &protocol.Error{Kind: protocol.KindInternal, Message: internalMessage, Err: err}
}

// writeJSON answers with v. What is answered here is never to be cached: it
// changes without a new address.
func (c *call) writeJSON(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		c.fail(err)
		return
	}
	c.writeBody(status, b)
}

// writeBody answers with JSON that is already rendered.
func (c *call) writeBody(status int, b []byte) {
	c.status = status
	r := &c.http.Response
	r.Header.Set("Cache-Control", "no-store")
	r.Header.Set("X-Content-Type-Options", "nosniff")
	r.Header.SetContentType("application/json")
	r.SetStatusCode(status)
	r.SetBodyRaw(b)
	if !c.http.IsHead() {
		c.sent = int64(len(b))
	}
}

// refuseUnread answers a request whose header or first bytes fasthttp could
// not read. It closes the connection afterwards.
func (d *door) refuseUnread(http *fasthttp.RequestCtx, err error) {
	c := d.srv.newCall(d, http)
	defer c.finish()
	lingerOn(http.Conn())
	// The connection may carry the deadline of an earlier answer. Where it
	// cannot be set there is nobody to answer.
	_ = http.Conn().SetWriteDeadline(time.Now().Add(d.limits.Stall))
	if _, ok := errors.AsType[*fasthttp.ErrSmallBuffer](err); ok {
		c.fail(&protocol.Error{Kind: protocol.KindHeadersTooLarge, Err: err,
			Message: "the header of the request is larger than " + strconv.Itoa(d.header) + " bytes"})
		return
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		c.fail(errBodySlow)
		return
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// The header was whole: one that ends early is io.EOF.
		c.fail(closing{errBodyEnded})
		return
	}
	c.fail(&protocol.Error{Kind: protocol.KindBadRequest, Message: "this is not a whole HTTP/1.1 request; nothing was done", Err: err})
}
