package object

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// NewDownload gives exactly n bytes of body, or an error: io.ErrUnexpectedEOF
// where it ends before, that of the context once that has ended. What body has
// beyond n is not given.
func NewDownload(ctx context.Context, body io.ReadCloser, n int64) io.ReadCloser {
	return &download{ctx: ctx, body: body, left: n}
}

type download struct {
	ctx  context.Context
	body io.ReadCloser
	left int64
}

func (d *download) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := d.body.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	switch {
	case d.left == 0, err == nil:
		return n, nil
	case d.ctx.Err() != nil:
		return n, fmt.Errorf("read body: %w", d.ctx.Err())
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("body ended with %d bytes missing: %w", d.left, io.ErrUnexpectedEOF)
	}
	return n, fmt.Errorf("read body: %w", err)
}

func (d *download) Close() error { return d.body.Close() }
