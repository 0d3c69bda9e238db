package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// headerBuffer bounds the header of a request, request line included.
	headerBuffer = 16 << 10
	// peerHeaderBuffer is that of peers: what they hand on, and what proves it.
	peerHeaderBuffer = headerBuffer + 4<<10
	// writeBuffer holds the header of an answer with a small body. Other content
	// goes past it; but each connection keeps it, however slow.
	writeBuffer = 8 << 10
)

// door is a way into the Server: a listener, and the connections that come in by
// it. What comes in by either is served by the same handlers.
type door struct {
	srv    *Server
	limits Limits
	// header bounds the header of a request.
	header int
	// taking is how long whoever came in may take nothing of an answer.
	taking time.Duration
	// peers says that only other nodes of the cluster come in (peers.go).
	peers bool
	// tls is nil where the connections are plain.
	tls   *tls.Config
	http  *fasthttp.Server
	conns conns

	mu sync.Mutex
	// l is where serve listens, and shut says that it is not to: guarded by mu.
	l    net.Listener
	shut bool
}

// newFront is the way in for clients.
func newFront(s *Server) *door {
	d := &door{srv: s, limits: s.limits, header: headerBuffer, taking: s.limits.Stall}
	d.http = d.newHTTP()
	return d
}

// newSide is the way in for other nodes.
func newSide(s *Server) *door {
	d := &door{srv: s, limits: s.limits.ofPeers(), header: peerHeaderBuffer, taking: s.limits.takingOfPeers(), peers: true}
	d.http = d.newHTTP()
	return d
}

// handle is the fasthttp handler.
func (d *door) handle(http *fasthttp.RequestCtx) { d.srv.serve(d, http) }

// newHTTP is the fasthttp server with every limit set: the defaults have no
// timeouts, a header of 4 KiB, and parse forms into temporary files.
func (d *door) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        d.handle,
		ErrorHandler:   d.refuseUnread,
		HeaderReceived: d.headerReceived,
		ExpectHandler:  d.expect,
		ConnState:      d.conns.note,
		Logger:         connLog{d.srv.log},

		ReadBufferSize:  d.header,
		WriteBufferSize: writeBuffer,
		// The listener keeps to the limit and says why it refuses; a connection
		// leaves its count a moment before fasthttp's.
		Concurrency: 2 * d.limits.Connections,
		// A longer body becomes a stream, so this bounds no body: routes do
		// (route.go). It is how much fasthttp waits for before the handler
		// runs, and so before a request can be refused.
		MaxRequestBodySize: 1,
		// ReadTimeout runs from the first byte of a request; headerReceived
		// and body.go set the deadline anew for the body.
		ReadTimeout: d.limits.HeaderTimeout,
		IdleTimeout: d.limits.KeepAlive,
		// WriteTimeout is for the header and small bodies; stream.go sets its
		// own deadlines.
		WriteTimeout: d.taking,
		TCPKeepalive: true,

		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
	}
}

// headerReceived gives what fasthttp reads of the body before the handler runs
// (its first byte) the time of a body. It also makes fasthttp see an Expect in
// any case of letters, and none in HTTP/1.0 (RFC 9110 section 10.1.1).
func (d *door) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	const expect, goOn = "Expect", "100-continue"
	if strings.EqualFold(string(h.Peek(expect)), goOn) {
		h.Del(expect)
		if h.IsHTTP11() {
			h.Set(expect, goOn)
		}
	}
	return fasthttp.RequestConfig{ReadTimeout: d.limits.Stall}
}

// serve answers on l until the door is shut.
func (d *door) serve(l net.Listener) error {
	d.mu.Lock()
	if d.shut || d.srv.base.Err() != nil {
		d.mu.Unlock()
		return l.Close()
	}
	d.l = l
	d.mu.Unlock()
	if err := d.http.Serve(listener{l, d}); err != nil {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}

// address is where the door is, "" before it is open.
func (d *door) address() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.l == nil {
		return ""
	}
	return d.l.Addr().String()
}

// stopListening makes serve return, also one that begins after it.
func (d *door) stopListening() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	if d.l == nil {
		return nil
	}
	if err := d.l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop listening: %w", err)
	}
	return nil
}

// shutdown closes idle connections and waits for the others. fasthttp stops
// listening by itself, unless its Serve is about to begin.
func (d *door) shutdown(ctx context.Context) error {
	d.conns.closeIdle()
	if err := d.http.ShutdownWithContext(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return errors.Join(fmt.Errorf("wait for connections: %w", err), d.stopListening())
	}
	return d.stopListening()
}

// connLog gives slog what fasthttp says of connections: mostly that a client
// went away.
type connLog struct{ *slog.Logger }

// Printf is fasthttp.Logger.
func (l connLog) Printf(format string, args ...any) {
	l.DebugContext(context.Background(), "connection ended with an error", "error", fmt.Sprintf(format, args...))
}
