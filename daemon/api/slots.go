package api

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// slots are the memory that bodies are held in while they come: so many at once,
// of which nobody has more than a share. A body may come as slowly as it likes,
// and what one caller holds must not be what all the others wait for.
type slots struct {
	// free holds one buffer for each body that there may be, nil until it was
	// needed.
	free  chan []byte
	share int

	mu sync.Mutex
	// callers are those who have a slot or wait for one. Guarded by mu.
	callers map[string]*turns
}

// turns are what a caller may have of the slots at once.
type turns struct {
	left chan struct{}
	// users is how many have one or wait. Guarded by slots.mu.
	users int
}

func newSlots(n, share int) *slots {
	s := &slots{free: make(chan []byte, n), share: max(1, share), callers: map[string]*turns{}}
	for range n {
		s.free <- nil
	}
	return s
}

// take gives n bytes of memory once who may have them, or KindUnavailable when
// that was not within atMost; release gives them back.
func (s *slots) take(ctx context.Context, who string, n int64, atMost time.Duration) (buf []byte, release func(), err error) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	own := s.enter(who)
	if _, err = oneOf(ctx, own.left, timer.C); err != nil {
		s.leave(who)
		return nil, nil, err
	}
	if buf, err = oneOf(ctx, s.free, timer.C); err != nil {
		own.left <- struct{}{}
		s.leave(who)
		return nil, nil, err
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, oneShotBuffer(n))
	}
	return buf[:n], func() {
		s.free <- buf
		own.left <- struct{}{}
		s.leave(who)
	}, nil
}

func (s *slots) enter(who string) *turns {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.callers[who]
	if own == nil {
		own = &turns{left: make(chan struct{}, s.share)}
		for range s.share {
			own.left <- struct{}{}
		}
		s.callers[who] = own
	}
	own.users++
	return own
}

func (s *slots) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.callers[who]
	if own.users--; own.users == 0 {
		delete(s.callers, who)
	}
}

// oneOf takes one, which is there or comes in time.
func oneOf[T any](ctx context.Context, from <-chan T, late <-chan time.Time) (v T, err error) {
	select {
	case v = <-from:
		return v, nil
	default:
	}
	select {
	case v = <-from:
		return v, nil
	case <-late:
		return v, &protocol.Error{Kind: protocol.KindUnavailable, Message: "too many bodies are being received already; nothing was recorded"}
	case <-ctx.Done():
		return v, fmt.Errorf("wait for memory: %w", ctx.Err())
	}
}

// oneShotBuffer is how large a buffer for n bytes is made: it is kept, and most
// small files are far smaller than the largest.
func oneShotBuffer(n int64) int64 {
	const least = 32 << 10
	return max(least, n, min(protocol.OneShotMax, int64(1)<<bits.Len64(uint64(n-1))))
}
