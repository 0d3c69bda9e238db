package store

import (
	"context"
	"errors"
	"io"
)

// progress is how many bytes make up for a try: a body that breaks less often
// is gone on with as often as it takes.
const progress = 64 << 10

// open opens a body. Those of object stores are gone on with when they break.
func (s *Store) open(ctx context.Context, key Key, off, n int64) (io.ReadCloser, error) {
	if s.patience == nil {
		return s.b.Get(ctx, key, off, n)
	}
	b := &body{ctx: ctx, s: s, key: key, off: off, left: n}
	err := s.call(ctx, "get", b.reopen)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// body reads an object that never changes, so that its rest can be asked for
// anew.
type body struct {
	ctx  context.Context
	s    *Store
	key  Key
	off  int64 // of the next byte
	left int64 // bytes to come, or below 0: to the end
	rc   io.ReadCloser

	broke error // what the last Read ended with; not given yet
	tries int   // since there was progress
	got   int64 // bytes since there was progress
	err   error // what all further Reads give
}

// reopen gets what is left. It is called once before there is a body, too.
func (b *body) reopen() (err error) {
	b.rc, err = b.s.b.Get(b.ctx, b.key, b.off, b.left)
	return err
}

func (b *body) Read(p []byte) (int, error) {
	for b.err == nil && len(p) > 0 {
		if b.broke != nil {
			b.err = b.resume()
			continue
		}
		n, err := b.rc.Read(p)
		b.advance(int64(n))
		switch {
		case err == io.EOF && b.left <= 0:
			b.err = io.EOF
		case err == io.EOF:
			b.broke = io.ErrUnexpectedEOF
		case err != nil && b.left == 0 && MayPass(err):
			b.err = io.EOF // all that was asked for is here
		default:
			b.broke = err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, b.err
}

func (b *body) advance(n int64) {
	b.off += n
	b.got += n
	if b.left > 0 {
		b.left -= n
	}
	if b.tries > 0 && b.got >= progress {
		b.s.patience.answered(b.tries + 1)
		b.tries = 0
	}
}

// resume opens the rest of a body that broke.
func (b *body) resume() error {
	_ = b.rc.Close() // what was wrong with it is known
	b.rc = nil
	for {
		b.tries++
		b.got = 0
		if err := b.s.patience.again(b.ctx, "read", b.tries, b.broke); err != nil {
			return b.s.named("read", err)
		}
		b.broke = b.s.calls.hold(b.ctx, b.reopen)
		if b.broke == nil {
			return nil
		}
	}
}

// Close is io.Closer's. It is not called while Read runs.
func (b *body) Close() error {
	rc := b.rc
	b.rc = nil
	if b.err == nil {
		b.err = errors.New("read of a closed body")
	}
	if rc == nil {
		return nil
	}
	return rc.Close()
}
