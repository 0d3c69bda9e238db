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
	// remembered is how long they are remembered beyond the window, as long as no
	// more than one in aFew of the room is taken: a clock that is set back makes
	// their times good again.
	remembered = time.Hour
	aFew       = 16
	// underway is how long a request may be on its way here.
	underway = time.Second
)

// nonceKey is what is kept of a nonce and its sender.
type nonceKey [16]byte

// nonces remembers the requests whose time is within the window, and never
// forgets one that it would take again: what is older than what it remembers it
// refuses, and where there is no room it refuses everything.
//
// Where the clock was set back to before what it remembers, by more than an hour or
// to before the start, it begins anew then: else it would refuse everything until
// the clock is there again. What was sent in the time that comes twice could be
// sent once more, by who recorded it: on one machine, who may do everything there.
type nonces struct {
	most int

	mu sync.Mutex
	// bySecond holds them by the second of their time.
	bySecond map[int64]map[nonceKey]struct{}
	held     int
	// floor is the time (Unix milliseconds) from which on all are remembered.
	floor int64
	// looked is the second at which was last looked for what can be forgotten,
	// latest the latest time since the clock was set back last.
	looked, latest int64
}

func newNonces(floor time.Time, most int) *nonces {
	return &nonces{most: most, bySecond: map[int64]map[nonceKey]struct{}{}, floor: floor.UnixMilli(), latest: floor.UnixMilli()}
}

// take remembers a request of the time t, or says why it is refused. Both are
// in Unix milliseconds.
func (n *nonces) take(now, t int64, key nonceKey) Reason {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tell(now)
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

// tell takes the time, and notices that the clock was set back.
func (n *nonces) tell(now int64) {
	way := underway.Milliseconds()
	if now < n.latest-way {
		n.floor, n.latest = min(n.floor, now-way), now
	}
	n.latest = max(n.latest, now)
}

// forget drops the seconds of which nothing would be taken any more.
func (n *nonces) forget(now int64) {
	kept := (Window + remembered).Milliseconds()
	if n.held > n.most/aFew {
		kept = Window.Milliseconds()
	}
	for s, keys := range n.bySecond {
		if end := (s + 1) * 1000; end+kept < now {
			n.held -= len(keys)
			n.floor = max(n.floor, end)
			delete(n.bySecond, s)
		}
	}
}
