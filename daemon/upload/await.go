package upload

import (
	"context"
	"sync"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Digests are the digest jobs of what was committed: digest.Worker.
type Digests interface {
	// Wake has a job look soon at what is due.
	Wake()
	// Looked gives what is closed once more was found out.
	Looked() <-chan struct{}
}

const (
	// MaxAwaiting is how many requests wait for digest jobs at once: each looks at
	// the database again whenever a job has found something.
	MaxAwaiting = 64
	// MaxAwaitingOfOne is how many of them are one owner's.
	MaxAwaitingOfOne = 32
	// digestsLook is how long until one looks again where nobody gives word of
	// the jobs.
	digestsLook = time.Second
)

// AwaitDigests looks, again and again until look has seen all that it wants,
// while digest jobs are pending, of files that the owner put a moment ago, that
// could tell it; for the time given at most. Where too many wait already it looks
// once.
func (s *Service) AwaitDigests(ctx context.Context, owner protocol.Owner, atMost time.Duration, look func() (all bool, err error)) error {
	timeout := time.After(atMost)
	more, err := s.lookFor(ctx, owner, look)
	if err != nil || more == nil || !s.awaiting.enter(owner) {
		return err
	}
	defer s.awaiting.leave(owner)
	for more != nil && err == nil {
		s.cfg.Digests.Wake()
		select {
		case <-more:
		case <-time.After(digestsLook):
		case <-timeout:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		more, err = s.lookFor(ctx, owner, look)
	}
	return err
}

// lookFor looks once, and gives what is closed when a job may have found more;
// nil where there is no more to be seen.
func (s *Service) lookFor(ctx context.Context, owner protocol.Owner, look func() (all bool, err error)) (more <-chan struct{}, err error) {
	if s.cfg.Digests != nil {
		more = s.cfg.Digests.Looked() // before the look at what is there
	}
	pending, err := s.db.DigestsPending(ctx, owner)
	if err != nil {
		return nil, err
	}
	if all, err := look(); err != nil || all || !pending {
		return nil, err
	}
	return more, nil
}

// awaiting counts the requests that wait for digest jobs.
type awaiting struct {
	mu  sync.Mutex
	all int                    // guarded by mu
	of  map[protocol.Owner]int // guarded by mu
}

func newAwaiting() *awaiting { return &awaiting{of: map[protocol.Owner]int{}} }

// enter reports whether one more of the owner's may wait, which leaves then.
func (a *awaiting) enter(owner protocol.Owner) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= MaxAwaiting || a.of[owner] >= MaxAwaitingOfOne {
		return false
	}
	a.all++
	a.of[owner]++
	return true
}

func (a *awaiting) leave(owner protocol.Owner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.of[owner]--; a.of[owner] == 0 {
		delete(a.of, owner)
	}
}
