package cluster

import (
	"io"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Vigil is kept over what comes from a node or goes to it. As long as something
// moves the node lives, whatever became of the pings, up to what its rule says; what
// stands still while its node is down is cut: a piece that is not read or written as
// a whole within the stall stands still. Its methods are safe for concurrent use.
type Vigil struct {
	c    *Cluster
	node meta.NodeID
	rule rule
	// cut ends what stands still, and must not wait for anything.
	cut func(cause error)

	mu sync.Mutex
	// waits is true while somebody waits for the node, which he does since then.
	waits bool
	since time.Time
}

// rule is when a vigil cuts.
type rule struct {
	// stall is how long it may stand still: as a whole, or fromDown, since the node
	// went down.
	stall    time.Duration
	fromDown bool
	// most is how long the node may be down although something moves to it: what is
	// sent to one that is stopped moves until the buffers between are full. It is 0
	// for no end.
	most time.Duration
	// sender is of a connection by which the node sends: while its requests come
	// here it lives, though nothing gets to it from here.
	sender bool
}

// keep begins a vigil, of which nobody waits for the node yet.
func (c *Cluster) keep(node meta.NodeID, r rule, cut func(cause error)) *Vigil {
	v := &Vigil{c: c, node: node, rule: r, cut: cut}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.vigils[v] = struct{}{}
	return v
}

// Watch keeps a vigil over a connection by which a node sends requests here: cut is
// called when the node is down and somebody has waited for it too long.
func (c *Cluster) Watch(node meta.NodeID, cut func()) *Vigil {
	return c.keep(node, rule{stall: 3 * c.times.Stall, fromDown: true, sender: true}, func(error) { cut() })
}

// Begin says that somebody waits for the node from now on.
func (v *Vigil) Begin() { v.set(true, time.Now()) }

// Rest says that nobody waits for it any more.
func (v *Vigil) Rest() { v.set(false, time.Time{}) }

func (v *Vigil) set(waits bool, since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waits, v.since = waits, since
}

// End ends the vigil. It may be called again.
func (v *Vigil) End() {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	delete(v.c.vigils, v)
}

// over reports whether it is to be cut, when its node is down since then.
func (v *Vigil) over(now, down time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	still := v.since
	if v.rule.fromDown && still.Before(down) {
		still = down
	}
	return v.waits && now.Sub(still) >= v.rule.stall || v.rule.most > 0 && now.Sub(down) >= v.rule.most
}

// patrol looks after the vigils: again and again, and when a node has gone down.
func (c *Cluster) patrol(done <-chan struct{}) {
	tick := time.NewTicker(c.times.Stall / 8)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		case <-c.fell:
		}
		c.cutStill(time.Now())
	}
}

// cutStill cuts what stands still.
func (c *Cluster) cutStill(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for v := range c.vigils {
		down, why := c.downSince(v.node)
		if sent := c.sentLast(v); down.Before(sent) {
			down = sent
		}
		if why != nil && v.over(now, down) {
			delete(c.vigils, v)
			v.cut(why)
		}
	}
}

// downSince says since when a node is down, and why; a node that is not has no why.
// c.mu is held.
func (c *Cluster) downSince(node meta.NodeID) (since time.Time, why error) {
	if m := c.members[node]; m != nil {
		return m.downSince()
	}
	if since, over := c.over[node]; over {
		return since, errOver
	}
	return time.Time{}, nil
}

// sentLast is when a vigil's node has last shown by a request that it lives, where
// that counts. c.mu is held.
func (c *Cluster) sentLast(v *Vigil) time.Time {
	if m := c.members[v.node]; m != nil && v.rule.sender {
		return m.sentLast()
	}
	return time.Time{}
}

// fall has the vigils looked after now.
func (c *Cluster) fall() {
	select {
	case c.fell <- struct{}{}:
	default:
	}
}

// sending is the body of a request to a node. While it waits for its own bytes
// nobody waits for the node.
type sending struct {
	io.Reader
	v *Vigil
}

func (s sending) Read(p []byte) (int, error) {
	s.v.Rest()
	defer s.v.Begin()
	return s.Reader.Read(p)
}
