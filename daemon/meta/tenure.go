package meta

import (
	"math"
	"sync"
)

// tenure is how long this process has had its lease last.
type tenure struct {
	mu     sync.Mutex
	lease  NodeLease
	latest int64 // 0 where it did not extend it
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
