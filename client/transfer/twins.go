package transfer

import (
	"context"
	"sync"

	"github.com/osproxy/osproxy/protocol"
)

// twin is what files that may be equal have in common.
type twin struct {
	size        int64
	fingerprint protocol.Fingerprint
}

// twins lets files that may be equal be put one after the other, so that the
// second one can be claimed when the first is there, where both would travel
// otherwise. The zero value is ready.
type twins struct {
	mu   sync.Mutex
	busy map[twin]chan struct{} // closed when the put in hand has ended
}

// enter waits until no other put has such a file in hand. leave ends this one's
// turn.
func (t *twins) enter(ctx context.Context, one twin) (leave func(), err error) {
	for {
		before, mine := t.try(one)
		if before == nil {
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.busy, one)
				close(mine)
			}, nil
		}
		if err := until(ctx, before); err != nil {
			return nil, err
		}
	}
}

// try gives the put to wait for, or else this one's turn.
func (t *twins) try(one twin) (before <-chan struct{}, mine chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if busy := t.busy[one]; busy != nil {
		return busy, nil
	}
	if t.busy == nil {
		t.busy = map[twin]chan struct{}{}
	}
	mine = make(chan struct{})
	t.busy[one] = mine
	return nil, mine
}

// await waits for a twin that is being put, where that would be of use: a daemon
// that may have the content already need not be given it first.
func (p *put) await(ctx context.Context, fp protocol.Fingerprint) (err error) {
	if h := p.hint(); p.leave != nil || !hearsClaims(p.caps) || h != nil && h.Maybe {
		return nil
	}
	p.leave, err = p.e.twins.enter(ctx, twin{p.size, fp})
	return err
}

// passTurn lets the next twin go on: what it may claim is there, or this put
// has ended.
func (p *put) passTurn() {
	if p.leave != nil {
		p.leave()
		p.leave = func() {} // it is not waited for again
	}
}
