package peer

import (
	"errors"
	"io"
	"sync"
	"time"
)

// errStill is why a request ends of which nothing moves, although the peer lives:
// what is between the two may have forgotten their connection.
var errStill = errors.New("nothing moved between the two nodes for too long")

// waits are how long a request may stand still while the peer is waited for. What
// its own body takes to come is for its reader to bound.
type waits struct {
	// ask is until the peer asks for the body.
	ask time.Duration
	// read and change are until the header of the answer: to a request that changes
	// nothing, and to any other, where it may take long to do. Who asks again for a
	// change gets its answer where it was done, and goes on where it was not: a commit
	// keeps what it has read back. So it ends before osp does by itself (2 minutes),
	// which is told then that the node did not answer.
	read, change time.Duration
	// piece is of each piece of a body, in both directions.
	piece time.Duration
}

func defaultWaits() waits {
	return waits{ask: 15 * time.Second, read: time.Minute, change: 100 * time.Second, piece: time.Minute}
}

// first is how long may pass until something comes of the peer.
func (w waits) first(r Request) time.Duration {
	switch {
	case r.hasBody():
		return w.ask
	case r.safe():
		return w.read
	}
	return w.change
}

// stopwatch ends what waits for longer than it may.
type stopwatch struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// newStopwatch is one that does not run yet.
func newStopwatch(end func()) *stopwatch {
	c := &stopwatch{timer: time.AfterFunc(time.Hour, end)}
	c.rest()
	return c
}

// wait has it run from now on.
func (c *stopwatch) wait(most time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.timer.Reset(most)
	}
}

// rest stops it until wait.
func (c *stopwatch) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
}

// stop stops it for good.
func (c *stopwatch) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.timer.Stop()
}

// timed is the body of a request: while it is not read the peer is waited for, to
// take it or, where it is whole, to answer.
type timed struct {
	io.Reader
	stopwatch *stopwatch
	waits     waits
	left      int64 // Unsized: not known
}

func (c *timed) Read(p []byte) (int, error) {
	c.stopwatch.rest()
	n, err := c.Reader.Read(p)
	if c.left >= 0 {
		c.left -= int64(n)
	}
	if c.left == 0 || err == io.EOF {
		c.stopwatch.wait(c.waits.change)
	} else {
		c.stopwatch.wait(c.waits.piece)
	}
	return n, err
}
