package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// stallTimeout ends a download of which no byte has come for this long.
const stallTimeout = time.Minute

// ErrCut: an answer that had begun broke off. What came of it is right as far as
// anybody can tell, and the rest can be asked for.
var ErrCut = errors.New("the answer broke off")

var errStalled = errors.New("no byte came for " + stallTimeout.String())

// Content is GET /v1/files/{uid}/content of n bytes from off, as long as the
// content still has the given ETag ("" does not ask); one that has another is
// KindPreconditionFailed. n < 0 with off 0 is the whole content; other ranges have to
// lie within it.
//
// The reader gives exactly n bytes and then io.EOF, or an error, which is
// KindNetwork and ErrCut where the body ended early. An answer of another range than the
// one asked for is KindInternal and is not read. The caller closes the reader.
func (c *Client) Content(ctx context.Context, uid protocol.UID, off, n int64, etag string) (io.ReadCloser, error) {
	if n == 0 {
		return http.NoBody, nil
	}
	r := request{op: "read " + uid.String(), method: http.MethodGet, path: filePath(uid) + "/content", header: http.Header{}}
	if etag != "" {
		r.header.Set("If-Match", etag)
	}
	if n > 0 {
		r.op = fmt.Sprintf("read bytes %d to %d of %s", off, off+n-1, uid)
		r.header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := c.send(ctx, r)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if what := wrongRange(resp, off, n); what != "" {
		cancel(nil)
		resp.Body.Close()
		return nil, notOurs(r.op, resp, what)
	}
	b := &contentBody{ctx: ctx, cancel: cancel, op: r.op, body: resp.Body, size: resp.ContentLength, left: resp.ContentLength}
	b.stall = time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	b.stall.Stop()
	return b, nil
}

// wrongRange says in what an answer is not of the n bytes from off, or "". A
// whole answer (200) is right only where the whole was asked for (RFC 9110
// section 15.3.7 lets a server ignore a Range).
func wrongRange(resp *http.Response, off, n int64) string {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if cr := resp.Header.Get("Content-Range"); !isRange(cr, off, n) {
			return fmt.Sprintf("another range (%.60q)", cr)
		}
	case http.StatusOK:
		if off != 0 {
			return "the whole content instead of a range"
		}
	default:
		return "a status that has no content"
	}
	if resp.ContentLength < 0 || (n > 0 && resp.ContentLength != n) {
		return fmt.Sprintf("%d bytes instead of %d", resp.ContentLength, n)
	}
	return ""
}

// isRange reports whether a Content-Range field (RFC 9110 section 14.4) is of
// just the n bytes from off, of a whole that has them.
func isRange(field string, off, n int64) bool {
	total, ok := strings.CutPrefix(field, fmt.Sprintf("bytes %d-%d/", off, off+n-1))
	if !ok || total == "*" {
		return ok
	}
	size, err := strconv.ParseUint(total, 10, 63)
	return err == nil && int64(size) >= off+n
}

// contentBody turns a clean or unclean early end into an error, and a daemon's
// endless pause too. A reader may pause as long as it likes.
type contentBody struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	op     string
	body   io.ReadCloser
	size   int64
	left   int64
	stall  *time.Timer
}

// Read is io.Reader.
func (b *contentBody) Read(p []byte) (int, error) {
	b.stall.Reset(stallTimeout)
	n, err := b.body.Read(p)
	b.stall.Stop()
	b.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, b.cut(err)
}

// cut says how far an answer came that broke off.
func (b *contentBody) cut(err error) error {
	switch {
	case errors.Is(context.Cause(b.ctx), errStalled):
		err = errStalled
	case b.ctx.Err() != nil:
		return contextError(b.ctx, b.op)
	}
	return &protocol.Error{Kind: protocol.KindNetwork, Op: b.op,
		Message: fmt.Sprintf("the daemon's answer broke off: %d of %d bytes came", b.size-b.left, b.size),
		Hint:    "Ask for it again. If it breaks off again, the daemon's log says what it met, or it is the network or a proxy in between.",
		Err:     cutBy{err}}
}

// cutBy is ErrCut, in the words of what cut it.
type cutBy struct{ error }

func (c cutBy) Unwrap() error        { return c.error }
func (c cutBy) Is(target error) bool { return target == ErrCut }

// Close gives up what has not been read.
func (b *contentBody) Close() error {
	b.stall.Stop()
	err := b.body.Close()
	b.cancel(nil)
	return err
}
