package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// headerBuffer bounds the header of a request, request line included.
	headerBuffer = 16 << 10
	// writeBuffer holds the header of an answer with a small body. Other content
	// goes past it; but each connection keeps it, however slow.
	writeBuffer = 8 << 10
	// closeWait bounds how long Close waits for handlers whose context ended
	// and whose connections are closed.
	closeWait = 10 * time.Second
)

// newHTTP is the fasthttp server with every limit set: the defaults have no
// timeouts, a header of 4 KiB, and parse forms into temporary files.
func (s *Server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        s.serve,
		ErrorHandler:   s.refuseUnread,
		HeaderReceived: s.headerReceived,
		ExpectHandler:  s.expect,
		ConnState:      s.conns.note,
		Logger:         connLog{s.log},

		ReadBufferSize:  headerBuffer,
		WriteBufferSize: writeBuffer,
		// The listener keeps to the limit and says why it refuses; a connection
		// leaves its count a moment before fasthttp's.
		Concurrency: 2 * s.limits.Connections,
		// A longer body becomes a stream, so this bounds no body: routes do
		// (route.go). It is how much fasthttp waits for before the handler
		// runs, and so before a request can be refused.
		MaxRequestBodySize: 1,
		// ReadTimeout runs from the first byte of a request; headerReceived
		// and body.go set the deadline anew for the body.
		ReadTimeout: s.limits.HeaderTimeout,
		IdleTimeout: s.limits.KeepAlive,
		// WriteTimeout is for the header and small bodies; stream.go sets its
		// own deadlines.
		WriteTimeout: s.limits.Stall,
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
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	const expect, goOn = "Expect", "100-continue"
	if strings.EqualFold(string(h.Peek(expect)), goOn) {
		h.Del(expect)
		if h.IsHTTP11() {
			h.Set(expect, goOn)
		}
	}
	return fasthttp.RequestConfig{ReadTimeout: s.limits.Stall}
}

// Serve answers on l until Drain or Close, and then returns nil. It is called
// once.
func (s *Server) Serve(l net.Listener) error {
	s.listener.Lock()
	if s.base.Err() != nil {
		s.listener.Unlock()
		return l.Close()
	}
	s.listener.l = l
	s.listener.Unlock()
	if err := s.http.Serve(listener{l, s}); err != nil {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}

// Busy reports whether a request is being served.
func (s *Server) Busy() bool { return s.active.some() }

// Drain ends the server gently: new requests are refused (503 draining, but
// /healthz), those being served go on to their end, whole bodies included, then
// the connections are closed. When ctx ends first, its error is returned,
// nothing more is accepted, and what is still running runs on: Close ends that.
func (s *Server) Drain(ctx context.Context) error {
	select {
	case <-s.active.drain():
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("drain: requests still run: %w", ctx.Err()), s.stopListening())
	}
	if err := s.shutdown(ctx); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	s.stop()
	return nil
}

// Close ends the server now: every request's context ends and every connection
// is cut. It waits for the handlers to return.
func (s *Server) Close() error {
	s.stop()
	s.conns.closeAll()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := s.shutdown(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// stopListening makes Serve return.
func (s *Server) stopListening() error {
	s.listener.Lock()
	defer s.listener.Unlock()
	if s.listener.l == nil {
		return nil
	}
	if err := s.listener.l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop listening: %w", err)
	}
	return nil
}

// shutdown stops accepting, closes idle connections, and waits for the others.
func (s *Server) shutdown(ctx context.Context) error {
	if err := s.stopListening(); err != nil {
		return err
	}
	s.conns.closeIdle()
	if err := s.http.ShutdownWithContext(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("wait for connections: %w", err)
	}
	return nil
}

// connLog gives slog what fasthttp says of connections: mostly that a client
// went away.
type connLog struct{ *slog.Logger }

// Printf is fasthttp.Logger.
func (l connLog) Printf(format string, args ...any) {
	l.DebugContext(context.Background(), "connection ended with an error", "error", fmt.Sprintf(format, args...))
}
