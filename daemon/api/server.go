package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// closeWait bounds how long Close waits for handlers whose context ended
// and whose connections are closed.
const closeWait = 10 * time.Second

// Serve answers on l until Drain or Close, and then returns nil. It is called
// once.
func (s *Server) Serve(l net.Listener) error { return s.front.serve(l) }

// ServePeers is Serve for the other nodes of the cluster, and for nobody else. With
// a config they speak TLS.
func (s *Server) ServePeers(l net.Listener, config *tls.Config) error {
	s.side.tls = config
	return s.side.serve(l)
}

// doors are the ways in.
func (s *Server) doors() []*door { return []*door{s.front, s.side} }

// Busy reports whether a request is being served.
func (s *Server) Busy() bool { return s.active.some() }

// Load is how many requests are being served.
func (s *Server) Load() int { return s.active.count() }

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
	for _, d := range s.doors() {
		d.conns.closeAll()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := s.shutdown(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// stopListening makes Serve and ServePeers return.
func (s *Server) stopListening() error {
	var errs []error
	for _, d := range s.doors() {
		errs = append(errs, d.stopListening())
	}
	return errors.Join(errs...)
}

// shutdown stops accepting, closes idle connections, and waits for the others.
func (s *Server) shutdown(ctx context.Context) error {
	if err := s.stopListening(); err != nil {
		return err
	}
	var errs []error
	for _, d := range s.doors() {
		errs = append(errs, d.shutdown(ctx))
	}
	return errors.Join(errs...)
}
