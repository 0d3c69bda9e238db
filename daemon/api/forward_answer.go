package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/protocol"
)

// returned are the fields of an answer that come back with it: all that handlers
// set. What pages of which origins may have is for the node to say that they asked.
func returned() []string {
	return []string{"ETag", "Last-Modified", "Cache-Control", "Content-Range", "Accept-Ranges", "Repr-Digest", "Content-Disposition",
		"X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Resource-Policy",
		"Location", "Retry-After", "WWW-Authenticate", protocol.HeaderRepeated}
}

// handBack gives the client what the other node answered.
func (c *call) handBack(a *peer.Answer) (err error) {
	defer func() {
		if !c.streaming {
			err = errors.Join(err, a.Body.Close())
		}
	}()
	bare := c.http.IsHead() || a.Status == http.StatusNotModified || a.Status == http.StatusNoContent
	small := !bare && a.Length <= smallBody
	var body []byte
	switch {
	case !bare && a.Length < 0:
		return fmt.Errorf("a node answered %d without a length", a.Status)
	case small:
		body = make([]byte, a.Length)
		if _, err := io.ReadFull(a.Body, body); err != nil {
			return notHanded(err)
		}
	}
	c.status = a.Status
	c.http.SetStatusCode(a.Status)
	c.setReturned(a.Header)
	switch {
	case small:
		c.http.Response.SetBodyRaw(body)
		c.sent, c.kind = a.Length, kindOf(a, body)
	case bare:
		if c.http.IsHead() && a.Length >= 0 {
			c.http.Response.Header.SetContentLength(int(a.Length))
		}
	default:
		c.streaming = true
		copied := func(_ context.Context, w io.Writer, _, n int64) error { return c.srv.copyN(w, a.Body, n) }
		c.http.Response.SetBodyStream(&stream{call: c, pieces: []piece{{span: span{0, a.Length}}}, size: a.Length, writeRange: copied, close: a.Body.Close}, int(a.Length))
	}
	return nil
}

func (c *call) setReturned(from http.Header) {
	h := &c.http.Response.Header
	for _, name := range returned() {
		if value := from.Get(name); value != "" {
			h.SetCanonical([]byte(name), []byte(value))
		}
	}
	if value := from.Get("Content-Type"); value != "" {
		h.SetContentType(value)
	}
}

// kindOf is the kind of error that was answered, "" for none that is known.
func kindOf(a *peer.Answer, body []byte) protocol.Kind {
	var p protocol.Problem
	if a.Status < http.StatusBadRequest || a.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(body, &p) != nil {
		return ""
	}
	return p.Code
}

// handedBuffer is how much of an answer is on its way through this node, beside
// what the sockets hold.
const handedBuffer = 128 << 10

// copyN copies n bytes, or fails.
func (s *Server) copyN(w io.Writer, r io.Reader, n int64) error {
	buf := s.handed.Get().(*[handedBuffer]byte)
	defer s.handed.Put(buf)
	for n > 0 {
		k, err := r.Read(buf[:min(n, handedBuffer)])
		if _, wrong := w.Write(buf[:k]); wrong != nil {
			return wrong
		}
		switch n -= int64(k); {
		case n == 0:
			return nil
		case errors.Is(err, context.Canceled):
			return err
		case err != nil:
			return &protocol.Error{Kind: protocol.KindOwnerDown, Err: err, Message: "the node that has the bytes went away while it sent them"}
		}
	}
	return nil
}
