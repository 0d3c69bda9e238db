package peer

import (
	"sync"
	"time"
)

const (
	// Window is how far the time of a request may be from the receiver's.
	Window    = time.Minute
	nonceSize = 16
	// mostNonces is how many requests of the window are remembered: 17,000 a
	// second.
	mostNonces = 1 << 20
)

// nonceKey is what is kept of a nonce and its sender.
type nonceKey [16]byte

// nonces remembers the requests whose time is within the window, and never
// forgets one that it would take again: what is older than what it remembers it
// refuses, and where there is no room it refuses everything.
type nonces struct {
	most int

	mu sync.Mutex
	// bySecond holds them by the second of their time.
	bySecond map[int64]map[nonceKey]struct{}
	held     int
	// floor is the time (Unix milliseconds) from which on all are remembered.
	floor int64
	// looked is the second at which was last looked for what can be forgotten.
	looked int64
}

func newNonces(floor time.Time, most int) *nonces {
	return &nonces{most: most, bySecond: map[int64]map[nonceKey]struct{}{}, floor: floor.UnixMilli()}
}

// take remembers a request of the time t, or says why it is refused. Both are
// in Unix milliseconds.
func (n *nonces) take(now, t int64, key nonceKey) Reason {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now/1000 != n.looked {
		n.looked = now / 1000
		n.forget(now)
	}
	second := n.bySecond[t/1000]
	_, seen := second[key]
	switch {
	case t < n.floor:
		return ReasonForgotten
	case seen:
		return ReasonReplayed
	case n.held >= n.most:
		return ReasonFull
	}
	if second == nil {
		second = map[nonceKey]struct{}{}
		n.bySecond[t/1000] = second
	}
	second[key] = struct{}{}
	n.held++
	return ""
}

// forget drops the seconds of which nothing would be taken any more.
func (n *nonces) forget(now int64) {
	for s, keys := range n.bySecond {
		if end := (s + 1) * 1000; end+Window.Milliseconds() < now {
			n.held -= len(keys)
			n.floor = max(n.floor, end)
			delete(n.bySecond, s)
		}
	}
}
