package object

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/osproxy/osproxy/store"
)

// Upload is the body of a request: exactly size bytes of a reader, or an error
// before the last of them was given, so that a storage which was told the
// length never takes what is wrong for whole. It is an io.Reader and no more:
// SDKs seek, close and measure what lets them.
type Upload struct {
	ctx context.Context

	mu      sync.Mutex
	r       io.Reader
	size    int64
	left    int64 // bytes not yet given
	sum     hash.Hash64
	err     error // why it ended before its end
	stopped bool
}

var errStopped = errors.New("the request is over")

// NewUpload makes the body of a request from size bytes of r, and folds what
// passes into sum, if that is not nil. A body of no bytes is looked at here,
// since nobody would read it.
func NewUpload(ctx context.Context, r io.Reader, size int64, sum hash.Hash64) (*Upload, error) {
	if size < 0 {
		return nil, fmt.Errorf("negative size %d: %w", size, store.ErrShort)
	}
	u := &Upload{ctx: ctx, r: r, size: size, left: size, sum: sum}
	if size == 0 {
		if _, u.err = u.last(nil); u.err != nil {
			return nil, u.err
		}
	}
	return u, nil
}

// Read is io.Reader's. The last byte is given once the reader has ended.
func (u *Upload) Read(p []byte) (n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.stopped:
		return 0, errStopped
	case u.err != nil:
		return 0, u.err
	case u.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if u.left == 1 {
		n, err = u.last(p[:1])
	} else {
		n, err = u.some(p[:min(int64(len(p)), u.left-1)])
	}
	if err != nil {
		u.err = err
		return 0, err
	}
	if u.sum != nil {
		u.sum.Write(p[:n])
	}
	u.left -= int64(n)
	return n, nil
}

// some reads bytes after which there have to be more.
func (u *Upload) some(p []byte) (int, error) {
	for range maxEmptyReads {
		if err := u.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := u.r.Read(p)
		switch {
		case n > 0:
			// What came with an error comes again without bytes.
			if err != nil && !errors.Is(err, io.EOF) {
				return 0, u.failed(err)
			}
			return n, nil
		case errors.Is(err, io.EOF) && err == io.EOF: //nolint:errorlint // a reader's clean end is io.EOF itself; one that wraps it has failed
			return 0, fmt.Errorf("body ended after %d of %d bytes: %w", u.size-u.left, u.size, store.ErrShort)
		case err != nil:
			return 0, u.failed(err)
		}
	}
	return 0, u.failed(io.ErrNoProgress)
}

// last fills p with the last bytes, one or none, and makes sure of the end.
func (u *Upload) last(p []byte) (int, error) {
	buf := make([]byte, 0, 2)
	for range maxEmptyReads {
		if err := u.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := u.r.Read(buf[len(buf) : len(p)+1])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > len(p):
			return 0, fmt.Errorf("body goes on after %d bytes: %w", u.size, store.ErrShort)
		case err == io.EOF && len(buf) < len(p): //nolint:errorlint // see some
			return 0, fmt.Errorf("body ended after %d of %d bytes: %w", u.size-1, u.size, store.ErrShort)
		case err == io.EOF: //nolint:errorlint // see some
			if err := u.ctx.Err(); err != nil {
				return 0, err
			}
			return copy(p, buf), nil
		case err != nil:
			return 0, u.failed(err)
		}
	}
	return 0, u.failed(io.ErrNoProgress)
}

// maxEmptyReads is how often a reader may give nothing and no error.
const maxEmptyReads = 100

func (u *Upload) failed(err error) error {
	return fmt.Errorf("read body at byte %d: %w", u.size-u.left, err)
}

// Stop has no byte of the reader be read any more, waits for a Read that is
// running, and tells why the body ended early: the reader's own error, that its
// length is another (store.ErrShort), or that of the context. nil says that
// whatever went wrong was the storage's doing.
func (u *Upload) Stop() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	return u.err
}

// Sum is the checksum of what was given.
func (u *Upload) Sum() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sum.Sum64()
}
