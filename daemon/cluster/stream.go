package cluster

import (
	"context"
	"io"
)

// stream is the body of a node's answer, over which a vigil is kept while it is
// read.
type stream struct {
	io.ReadCloser
	v      *Vigil
	cancel context.CancelCauseFunc
}

func (s *stream) Read(p []byte) (int, error) {
	s.v.Begin()
	defer s.v.Rest()
	return s.ReadCloser.Read(p)
}

// Close ends the request.
func (s *stream) Close() error {
	s.v.End()
	defer s.cancel(nil)
	return s.ReadCloser.Close()
}
