package cluster

import (
	"context"
	"io"
	"sync"
	"time"
)

// stream is the body of a node's answer. As long as bytes come the node lives,
// whatever became of the pings; one that is down and sends none for the time of a
// stall is cut.
type stream struct {
	io.ReadCloser
	m      *member
	stall  time.Duration
	cancel context.CancelCauseFunc

	mu sync.Mutex
	// reads counts what was read, and reading is true while somebody waits.
	reads   int
	reading bool
	closed  bool
	// stop ends the waiting for the node to go down, timer is the stall.
	stop  func() bool
	timer *time.Timer
}

func follow(body io.ReadCloser, m *member, stall time.Duration, cancel context.CancelCauseFunc) *stream {
	s := &stream{ReadCloser: body, m: m, stall: stall, cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait()
	return s
}

// wait waits for the node to go down. s.mu is held.
func (s *stream) wait() {
	_, life := s.m.lives()
	s.stop = context.AfterFunc(life, s.wentDown)
}

func (s *stream) wentDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look(-1)
}

// look cuts the stream where nothing came since before, and else looks again
// after a stall, while the node is down. s.mu is held.
func (s *stream) look(before int) {
	_, life := s.m.lives()
	switch {
	case s.closed:
	case life.Err() == nil:
		s.wait()
	case s.reading && s.reads == before:
		s.cancel(context.Cause(life))
	default:
		now := s.reads
		if !s.reading {
			now = -1
		}
		s.timer = time.AfterFunc(s.stall, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.look(now)
		})
	}
}

func (s *stream) Read(p []byte) (int, error) {
	s.note(true)
	defer s.note(false)
	return s.ReadCloser.Read(p)
}

func (s *stream) note(reading bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	s.reading = reading
}

// Close ends the request.
func (s *stream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.stop()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	defer s.cancel(nil)
	return s.ReadCloser.Close()
}
