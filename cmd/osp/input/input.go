// Package input reads what may never come: standard input, a pipe, a terminal.
package input

import (
	"context"
	"io"
)

// UntilDone is r, of which a Read ends with ctx at the latest, with ctx's cause.
// A Read of standard input cannot be given up: the one in hand is left behind
// then, with a buffer of its own, and r is not to be used again.
func UntilDone(ctx context.Context, r io.Reader) io.Reader { return untilDone{ctx, r} }

type untilDone struct {
	ctx context.Context
	r   io.Reader
}

type answer struct {
	n   int
	err error
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	buf := make([]byte, len(p))
	answers := make(chan answer, 1)
	go func() {
		n, err := u.r.Read(buf)
		answers <- answer{n, err}
	}()
	select {
	case a := <-answers:
		return copy(p, buf[:a.n]), a.err
	case <-u.ctx.Done():
		return 0, context.Cause(u.ctx)
	}
}
