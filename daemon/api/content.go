package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// representation is something with bytes, as HTTP knows it.
type representation struct {
	size        int64
	etag        string
	modified    time.Time
	mediaType   string
	disposition string
	// cache is its Cache-Control, "private, no-cache" where empty: the bytes of a
	// uid never change, but its name, its type and its life do, so that a cache
	// may keep them and has to ask.
	cache string
	// sha256 is that of all bytes in hex, nil while it is not known.
	sha256 *string
	// check finds out whether the range begins sound, while there still can
	// be an error status. It may be nil.
	check func(ctx context.Context, off, n int64) error
	// writeRange writes n bytes from off, or fails.
	writeRange func(ctx context.Context, w io.Writer, off, n int64) error
	// close may be nil.
	close func() error
}

// serveContent answers a GET or HEAD with r, or a part of it (RFC 9110
// sections 13 to 15). It closes r, now or after the last byte.
func (c *call) serveContent(r representation) (err error) {
	defer func() {
		if !c.streaming && r.close != nil {
			err = errors.Join(err, r.close())
		}
	}()
	body, err := c.answerWith(r)
	if err != nil || body == nil {
		return err
	}
	c.streaming = true
	c.http.Response.SetBodyStream(body, int(body.size))
	return nil
}

// smallBody is up to how many bytes a body is put together before the answer
// begins: it then leaves with the header in one piece, and a failure has a
// status of its own.
const smallBody = 32 << 10

// whole puts a small body together.
func (c *call) whole(r representation, pieces []piece, length int64) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, length+bytes.MinRead))
	for _, p := range pieces {
		buf.WriteString(p.head)
		if p.n == 0 {
			continue
		}
		if err := r.writeRange(c.ctx, buf, p.off, p.n); err != nil {
			return nil, err
		}
	}
	if int64(buf.Len()) != length {
		return nil, errShortBody
	}
	return buf.Bytes(), nil
}

// answerWith sets status and header, and the body where it is small; else it
// gives the one there is to send, nil for none.
func (c *call) answerWith(r representation) (*stream, error) {
	req := &c.http.Request.Header
	switch evaluate(req, r.etag, r.modified) {
	case failed:
		return nil, &protocol.Error{Kind: protocol.KindPreconditionFailed, Message: "the File is not the one the request is for"}
	case notModified:
		c.setValidators(r)
		c.status = http.StatusNotModified
		c.http.SetStatusCode(c.status)
		return nil, nil
	}
	var spans []span
	// Range is defined for GET alone (RFC 9110 section 14.2).
	if !c.http.IsHead() && rangeApplies(req, r.etag, r.modified) {
		var err error
		if spans, err = parseRange(c.header("Range"), r.size); err != nil {
			return nil, err
		}
	}
	pieces, length := []piece{{span: span{0, r.size}}}, r.size
	contentType, contentRange := r.mediaType, ""
	c.status = http.StatusOK
	switch {
	case len(spans) == 1:
		c.status, pieces, length = http.StatusPartialContent, []piece{{span: spans[0]}}, spans[0].n
		contentRange = spans[0].contentRange(r.size)
	case len(spans) > 1:
		c.status = http.StatusPartialContent
		contentType, pieces, length = byteRanges(spans, r.mediaType, r.size)
	}
	if r.check != nil && !c.http.IsHead() && pieces[0].n > 0 {
		if err := r.check(c.ctx, pieces[0].off, pieces[0].n); err != nil {
			return nil, err
		}
	}
	small := length <= smallBody && !c.http.IsHead()
	var body []byte
	if small {
		var err error
		if body, err = c.whole(r, pieces, length); err != nil {
			return nil, err
		}
	}
	c.setValidators(r)
	c.setContentHeader(r, contentType, contentRange)
	switch {
	case small:
		c.http.Response.SetBodyRaw(body)
		c.sent = length
		return nil, nil
	case c.http.IsHead():
		c.http.Response.Header.SetContentLength(int(length))
		return nil, nil
	}
	return &stream{call: c, pieces: pieces, size: length, writeRange: r.writeRange, close: r.close}, nil
}

// setValidators sets what every answer about r carries, 304 included.
func (c *call) setValidators(r representation) {
	h := &c.http.Response.Header
	// Set would spell it Etag, which people who search for it do not.
	h.SetCanonical([]byte("ETag"), []byte(r.etag))
	h.Set("Last-Modified", r.modified.UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", cmp.Or(r.cache, "private, no-cache"))
}

// setContentHeader sets what describes the body, and what keeps a browser from
// running it as a page of this server: a File is whatever somebody sent.
func (c *call) setContentHeader(r representation, contentType, contentRange string) {
	c.http.SetStatusCode(c.status)
	h := &c.http.Response.Header
	h.SetContentType(contentType)
	if contentRange != "" {
		h.Set("Content-Range", contentRange)
	}
	h.Set("Accept-Ranges", "bytes")
	if v := reprDigest(r.sha256); v != "" {
		h.Set("Repr-Digest", v)
	}
	h.Set("Content-Disposition", r.disposition)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	// A link is all the right there is to what it gets: no answer to one has anything
	// that depends on whose browser asks, so pages of any site may embed it.
	embeddable := "same-site"
	if c.grant != nil {
		embeddable = "cross-origin"
	}
	h.Set("Cross-Origin-Resource-Policy", embeddable)
}

// reprDigest is the Repr-Digest (RFC 9530) of a representation by its SHA-256
// in hex, "" without one. It is of all bytes, whatever range of them the answer
// has.
func reprDigest(sum *string) string {
	if sum == nil {
		return ""
	}
	b, err := hex.DecodeString(*sum)
	if err != nil {
		return ""
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(b) + ":"
}
