package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// Raw is a request in the words of whoever makes it: for what no method here is
// for.
type Raw struct {
	Method string
	// Target is a path, with its query if it has one, below the server's URL; or
	// the URL of such a path.
	Target string
	// Header goes as it is, and before what a Client adds by itself, the token
	// among it. Content-Length, Host and Transfer-Encoding are not taken of it.
	Header http.Header
	// Body has Length bytes and is closed in any case; nil for none.
	Body   io.ReadCloser
	Length int64
}

// Do makes the request and gives the answer, whatever its status is: AnswerError
// says what that means. A redirect is an answer. A Target that is not on the server,
// or that has a segment . or .., is KindUsage, and nothing is sent to it. The caller closes the body, whose Read
// fails with a *protocol.Error.
func (c *Client) Do(ctx context.Context, r Raw) (*http.Response, error) {
	op := opOf(r)
	req, err := c.buildRaw(ctx, op, r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transportError(ctx, op, err)
	}
	resp.Body = rawBody{ctx, op, resp.Body}
	return resp, nil
}

func opOf(r Raw) string {
	path, _, _ := strings.Cut(r.Target, "?")
	return r.Method + " " + path
}

func (c *Client) buildRaw(ctx context.Context, op string, r Raw) (*http.Request, error) {
	target, err := c.below(r.Target)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), nil)
	if err != nil {
		return nil, &protocol.Error{Kind: protocol.KindUsage, Op: op, Message: "the request cannot be made", Err: err}
	}
	if r.Body != nil && r.Length == 0 {
		r.Body.Close()
		r.Body = http.NoBody
	}
	if r.Body != nil {
		req.Body, req.ContentLength = r.Body, r.Length
	}
	req.Header.Set("User-Agent", c.agent)
	setTrace(ctx, req.Header)
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if req.Header.Get("Authorization") != "" {
		return req, nil
	}
	return req, c.authorize(ctx, op, req.Header)
}

// below is where a target is: on the server and nowhere else, since the token
// goes along.
func (c *Client) below(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil || u.Opaque != "" || u.User != nil || strings.Contains(target, "#") {
		return nil, &protocol.Error{Kind: protocol.KindUsage, Message: "the path of the request cannot be read; nothing was sent",
			Hint: "Write it like /v1/files?limit=1, with escapes where a letter needs one."}
	}
	path, raw := u.Path, u.EscapedPath()
	if u.Scheme != "" || u.Host != "" {
		inPath, ok := strings.CutPrefix(path, c.base.Path)
		inRaw, okRaw := strings.CutPrefix(raw, c.base.EscapedPath())
		if !ok || !okRaw || !sameOrigin(u, c.base) || inPath != "" && inPath[0] != '/' {
			return nil, &protocol.Error{Kind: protocol.KindUsage, Message: "the address is not on the server " + c.Server() + "; nothing was sent, and the token to nobody",
				Hint: "Give a path, like v1/files, or the other server's address with --server."}
		}
		path, raw = inPath, inRaw
	}
	if hasDots(path) {
		return nil, &protocol.Error{Kind: protocol.KindUsage, Message: "the path of the request has a segment . or ..; nothing was sent, and the token to nobody",
			Hint: "Write the path that is meant, like v1/files."}
	}
	if !strings.HasPrefix(path, "/") {
		path, raw = "/"+path, "/"+raw
	}
	full := *c.base
	full.Path, full.RawPath = c.base.Path+path, c.base.EscapedPath()+raw
	full.RawQuery, full.ForceQuery = u.RawQuery, u.ForceQuery
	return &full, nil
}

// hasDots reports whether a path leads elsewhere than it says, once whoever stands
// before the server has made it short: to a neighbour of the server's folder,
// even. A decoded / or \ counts, since not all tell them from those that part.
func hasDots(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// sameOrigin reports whether two URLs lead to one port of one host, as the same
// protocol.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// AnswerError is the error that an answer of Do tells of: nil for one of 2xx, and
// for a 304, which its request asked for. The body can be read afterwards as if
// it had not been looked at.
func AnswerError(ctx context.Context, resp *http.Response) error {
	if resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	op := ""
	if b, ok := resp.Body.(rawBody); ok {
		op = b.op
	}
	if resp.StatusCode/100 == 3 {
		return notOurs(op, resp, "a redirect, which is not followed")
	}
	body := resp.Body
	var seen bytes.Buffer
	resp.Body = io.NopCloser(io.TeeReader(body, &seen))
	err := answerError(ctx, op, resp)
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		asV0(e, resp, seen.Bytes())
	}
	resp.Body = rejoined{io.MultiReader(&seen, body), body}
	return err
}

type rejoined struct {
	io.Reader
	io.Closer
}

// rawBody is the body of an answer, whose errors are this package's.
type rawBody struct {
	ctx  context.Context
	op   string
	body io.ReadCloser
}

func (b rawBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && err != io.EOF {
		err = transportError(b.ctx, b.op, err)
	}
	return n, err
}

func (b rawBody) Close() error { return b.body.Close() }
