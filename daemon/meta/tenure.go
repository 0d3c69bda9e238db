package meta

import (
	"context"
	"fmt"
	"math"
	"sync"
)

// tenure is how long this process has had its lease last.
type tenure struct {
	// turn has a place for who extends the lease: of two at once the one that is
	// behind would find the lease to last longer than it knows of.
	turn chan struct{}

	mu     sync.Mutex
	lease  NodeLease
	latest int64 // 0 where it did not extend it
}

func newTenure() tenure { return tenure{turn: make(chan struct{}, 1)} }

// await waits for the turn of an extension, which done ends.
func (t *tenure) await(ctx context.Context) (done func(), err error) {
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another renewal of the lease: %w", ctx.Err())
	}
}

// begin is of a lease that was just given.
func (t *tenure) begin(l NodeLease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease, t.latest = l, 0
}

// extend notes until when the lease is going to be made to last, and gives the
// latest that it may last until now where nobody else keeps it. The end of an
// attempt need not be known. Of a lease that was given to another process, and of
// one at its first time, nothing is known.
func (t *tenure) extend(l NodeLease, until int64) (most int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lease != l {
		return math.MaxInt64
	}
	if most = t.latest; most == 0 {
		most = math.MaxInt64
	}
	t.latest = max(t.latest, until)
	return most
}
