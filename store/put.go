package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// put puts, and tries again where the body can be given again.
func (s *Store) put(ctx context.Context, key Key, r io.Reader, size int64) error {
	if s.patience == nil {
		return s.b.Put(ctx, key, r, size)
	}
	seeker, start := rewindable(r)
	for n := 1; ; n++ {
		body := &source{r: r}
		err := s.writes.hold(ctx, func() error { return s.b.Put(ctx, key, body, size) })
		if n > 1 && errors.Is(err, ErrExists) {
			err = s.wasPut(ctx, key, seeker, start, size)
		}
		if err == nil {
			s.patience.answered(n)
			return nil
		}
		if seeker == nil || body.failed {
			return err
		}
		if err := s.patience.again(ctx, "put", n, err); err != nil {
			return err
		}
		if _, failed := seeker.Seek(start, io.SeekStart); failed != nil {
			return fmt.Errorf("go back to the beginning of the body (%w) after: %w", failed, err)
		}
	}
}

// rewindable gives r as a seeker, if it is one, and where it stands.
func rewindable(r io.Reader) (io.Seeker, int64) {
	seeker, ok := r.(io.Seeker)
	if !ok {
		return nil, 0
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0
	}
	return seeker, start
}

// source is a body of which is known whether it failed by itself: then the
// storage need not be asked again. That it can be rewound is not shown, since
// some clients of vendors would go back to its very beginning.
type source struct {
	r      io.Reader
	failed bool
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.failed = true
	}
	return n, err
}

// wasPut is nil if the object under key has the bytes of the body: an earlier
// try had put it, and its answer was lost. Keys are used once, so that nothing
// else can be there but by a fault that must not be covered.
func (s *Store) wasPut(ctx context.Context, key Key, body io.Seeker, start, size int64) error {
	if _, err := body.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("go back to the beginning of the body: %w", err)
	}
	rc, err := s.open(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("read what an earlier try may have put: %w", err)
	}
	// Of the body no more is looked at than was to be put.
	same, err := equal(rc, io.LimitReader(body.(io.Reader), size), size)
	if err = errors.Join(err, rc.Close()); err != nil {
		return fmt.Errorf("compare what an earlier try may have put: %w", err)
	}
	if !same {
		return fmt.Errorf("with other bytes: %w", ErrExists)
	}
	return nil
}

// equal reports whether both give the same size bytes and end.
func equal(x, y io.Reader, size int64) (bool, error) {
	const step = 256 << 10
	a, b := make([]byte, min(size+1, step)), make([]byte, min(size+1, step))
	for {
		n, err := readFull(x, a)
		if err != nil {
			return false, err
		}
		m, err := readFull(y, b)
		if err != nil || !bytes.Equal(a[:n], b[:m]) {
			return false, err
		}
		size -= int64(n)
		if n < len(a) {
			return size == 0, nil
		}
	}
}

// readFull fills p or reads to the end.
func readFull(r io.Reader, p []byte) (int, error) {
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.EOF) || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}
