package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// maxAnswer bounds a JSON answer. The largest there is lists 10,000 parts, or
// 1,000 files with names and metadata of the largest size.
const maxAnswer = 64 << 20

// maxProblem bounds the body of an error answer that is looked at.
const maxProblem = 4 << 20

// request is one call before it is made.
type request struct {
	// op says what is being done, for messages: "send part 3".
	op     string
	method string
	path   string
	query  url.Values
	header http.Header
	// body is JSON when it is not nil; stream is any other body, of length
	// bytes, and is closed in any case.
	body   any
	stream io.ReadCloser
	length int64
}

// call makes the request and reads a JSON answer into out (nil: there is
// none to read). The returned response has its body read and closed.
func (c *Client) call(ctx context.Context, r request, out any) (*http.Response, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer discard(resp.Body)
	if out == nil {
		return resp, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, transportError(ctx, r.op, err)
	}
	if len(data) > maxAnswer {
		return nil, notOurs(r.op, resp, fmt.Sprintf("more than %d bytes of JSON", maxAnswer))
	}
	if err := json.Unmarshal(data, out); err != nil {
		e := notOurs(r.op, resp, "a body that cannot be understood")
		e.Err = err
		return nil, e
	}
	return resp, nil
}

// send makes the request and returns an answer of status 2xx, whose body the
// caller closes.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		if r.stream != nil {
			r.stream.Close()
		}
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(ctx, r.op, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer discard(resp.Body)
		return nil, answerError(ctx, r.op, resp)
	}
	return resp, nil
}

func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	u := *c.base
	u.Path += r.path
	u.RawQuery = r.query.Encode()
	body, length := r.stream, r.length
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, &protocol.Error{Kind: protocol.KindBadRequest, Op: r.op, Message: "the request cannot be written as JSON", Err: err}
		}
		body, length = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), nil)
	if err != nil {
		return nil, &protocol.Error{Kind: protocol.KindUsage, Op: r.op, Message: "the request cannot be made", Err: err}
	}
	// GetBody stays nil: net/http must not send a body twice by itself.
	if body != nil && length == 0 {
		body.Close()
		body = http.NoBody
	}
	if body != nil {
		req.Body, req.ContentLength = body, length
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if r.body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", c.agent)
	setTrace(ctx, req.Header)
	return req, c.authorize(ctx, r.op, req.Header)
}

// setTrace says which piece of work the request is part of, where the context
// does: each request is a caller of its own in it.
func setTrace(ctx context.Context, h http.Header) {
	if t := protocol.TraceOf(ctx); !t.IsZero() {
		h.Set(protocol.HeaderTraceparent, t.Child().String())
	}
}

// authorize adds the token. What it says of one that cannot be sent does not
// repeat it.
func (c *Client) authorize(ctx context.Context, op string, h http.Header) error {
	text, err := c.token(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return contextError(ctx, op)
		}
		if _, ok := errors.AsType[*protocol.Error](err); ok {
			return err
		}
		return &protocol.Error{Kind: protocol.KindUnauthenticated, Op: op, Message: "the token could not be read; nothing was sent", Err: err}
	}
	if text == "" {
		return nil
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return &protocol.Error{Kind: protocol.KindUnauthenticated, Op: op, Message: "the token has characters that no token has; nothing was sent",
			Hint: "Look for spaces and line ends where the token is kept."}
	}
	h.Set("Authorization", "Bearer "+text)
	return nil
}

// discard reads what little may be left of an answer, so that its connection
// can be used again, and closes it.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // what fails here costs a connection, nothing else
	body.Close()
}

// transportError says that no answer came. Whose fault it was decides the
// kind: an ended context is the caller's own doing.
func transportError(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return contextError(ctx, op)
	}
	// net/http repeats method and address; the op says it better.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if n, ok := errors.AsType[*net.OpError](err); ok && n.Op == "dial" {
		return &protocol.Error{Kind: protocol.KindNetwork, Op: op, Message: "the daemon cannot be reached; nothing was sent",
			Hint: "Check that the daemon is running and that --server is its address.", Err: err}
	}
	return &protocol.Error{Kind: protocol.KindNetwork, Op: op,
		Message: "no complete answer came from the daemon; whether the request took effect is not known",
		Hint:    "Check that the daemon is running and that --server is its address.", Err: err}
}

func contextError(ctx context.Context, op string) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%s: %w: %w", op, ctx.Err(), cause)
	}
	return fmt.Errorf("%s: %w", op, context.Cause(ctx))
}

// answerError is the error an answer tells of: the one in its body, when that
// is a problem (RFC 9457) of ours, else what the status says.
func answerError(ctx context.Context, op string, resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil && ctx.Err() != nil {
		return contextError(ctx, op)
	}
	var e *protocol.Error
	if p, ok := problemOf(resp.Header, data); ok {
		e = p.Err()
		e.Op = op
	} else {
		e = strangersError(op, resp)
	}
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get(protocol.HeaderRequestID)
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

// problemOf reads an error answer's body. It is a daemon's only if it is
// called a problem and has a code.
func problemOf(h http.Header, body []byte) (p protocol.Problem, ok bool) {
	// A parameter that cannot be parsed leaves the type, which is all that counts.
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	ok = kind == "application/problem+json" && json.Unmarshal(body, &p) == nil && p.Code != ""
	return p, ok
}

// strangersError is the error of an answer that some proxy, or another server
// altogether, gave. A 404 is what a proxy says that has no daemon behind it for
// now, so it may pass.
func strangersError(op string, resp *http.Response) *protocol.Error {
	e := notOurs(op, resp, "an error that is not in the daemon's form")
	e.Kind = kindOfStatus(resp.StatusCode)
	if resp.StatusCode == http.StatusNotFound {
		e.Message = "what answered 404 is not ospd, so whether this exists is not known; if that goes on, check --server"
	}
	return e
}

// kindOfStatus is the kind of a stranger's answer. What such an answer says of
// uploads, files and their content (404, 409, 412, 416) is never believed: what
// was sent or received would be given up for it. Only what may be temporary is
// retryable.
func kindOfStatus(status int) protocol.Kind {
	switch status {
	case http.StatusUnauthorized:
		return protocol.KindUnauthenticated
	case http.StatusForbidden:
		return protocol.KindForbidden
	case http.StatusRequestEntityTooLarge:
		return protocol.KindTooLarge
	case http.StatusTooManyRequests:
		return protocol.KindRateLimited
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return protocol.KindUnavailable
	}
	return protocol.KindInternal
}

// notOurs is an answer no ospd gives.
func notOurs(op string, resp *http.Response, what string) *protocol.Error {
	return &protocol.Error{Kind: protocol.KindInternal, Op: op,
		Message:   fmt.Sprintf("the server answered %d with %s", resp.StatusCode, what),
		Hint:      "Check that --server is the address of an ospd, and what stands between.",
		RequestID: resp.Header.Get(protocol.HeaderRequestID)}
}

// maxRetryAfter bounds what an answer can make a caller wait.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads a Retry-After (RFC 9110 section 10.2.3): seconds or a date.
// 0 when there is none or it has passed.
func retryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
