package client

import (
	"context"
	"io"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of how much of a body passes at once under a limit: at most a sixteenth
// of a second's worth, so that many bodies move evenly, and no daemon sees one
// stand still.
const (
	leastPiece = 1 << 10
	mostPiece  = 64 << 10
)

// limited keeps the bodies of requests, and those of answers, to a rate of bytes
// a second each, over all connections together. Where a direction has no limit
// its bodies are left as they are: a file is then sent by the kernel.
type limited struct {
	next     http.RoundTripper
	up, down *pace // nil: no limit
}

// RoundTrip is http.RoundTripper.
func (l *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.up != nil && req.Body != nil && req.Body != http.NoBody {
		body := &pacedBody{ReadCloser: req.Body, ctx: req.Context(), pace: l.up}
		req = req.WithContext(req.Context()) // a copy: the caller's is not to be changed
		req.Body = body
	}
	resp, err := l.next.RoundTrip(req)
	if err == nil && l.down != nil && resp.Body != http.NoBody {
		resp.Body = &pacedBody{ReadCloser: resp.Body, ctx: req.Context(), pace: l.down}
	}
	return resp, err
}

// CloseIdleConnections lets the client close what is below.
func (l *limited) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// pace is the rate that several bodies share.
type pace struct {
	rate  *rate.Limiter
	piece int
}

// newPace is nil for no limit.
func newPace(bytesPerSecond int64) *pace {
	if bytesPerSecond <= 0 {
		return nil
	}
	piece := int(min(max(bytesPerSecond/16, leastPiece), mostPiece))
	return &pace{rate: rate.NewLimiter(rate.Limit(bytesPerSecond), piece), piece: piece}
}

// wait returns when n bytes, at most a piece, may pass, or ctx ends. Unlike the
// limiter's own, it does not fail early for a deadline that is to come.
func (p *pace) wait(ctx context.Context, n int) error {
	r := p.rate.ReserveN(time.Now(), n)
	timer := time.NewTimer(r.Delay())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		r.Cancel()
		return ctx.Err()
	}
}

// pacedBody is a body that is read at a pace.
type pacedBody struct {
	io.ReadCloser
	ctx  context.Context
	pace *pace
}

// Read is io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.pace.piece)])
	if n > 0 {
		if e := b.pace.wait(b.ctx, n); e != nil && err == nil {
			err = e
		}
	}
	return n, err
}
