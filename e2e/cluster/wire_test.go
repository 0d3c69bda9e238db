//go:build servers && linux

package cluster

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// way is a direction through a wire.
type way int

// The ways: of whoever connects, and of the answers.
const (
	there way = iota
	back
)

// wire is a TCP proxy that loses what goes one way, holds it up, or resets its
// connections.
type wire struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	ctx      context.Context
	close    context.CancelFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	loses [2]bool
	delay time.Duration
	open  map[*line]bool
}

// line is one connection through a wire: both ends.
type line struct {
	ends [2]net.Conn
	// torn says that something of it was lost.
	torn bool
}

// newWire is a wire to whatever dial reaches, for as long as the test.
func newWire(t *testing.T, dial func(context.Context) (net.Conn, error)) *wire {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, dial: dial, open: map[*line]bool{}}
	w.ctx, w.close = context.WithCancel(context.Background())
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		w.close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		w.reset()
		w.wg.Wait()
	})
	return w
}

// to dials one address.
func to(network, address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// address is where it listens.
func (w *wire) address() string { return w.listener.Addr().String() }

// lose has what goes that way from now on come to nothing.
func (w *wire) lose(ways ...way) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, way := range ways {
		w.loses[way] = true
	}
}

// slow holds up each piece of what passes.
func (w *wire) slow(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay = by
}

// heal has everything pass again. Connections of which something was lost end.
func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loses, w.delay = [2]bool{}, 0
	for l := range w.open {
		if l.torn {
			l.reset()
		}
	}
}

// reset ends all connections there are, with a reset.
func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.open {
		l.reset()
	}
}

func (l *line) reset() {
	for _, c := range l.ends {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // it may be closed
		}
		c.Close()
	}
}

func (w *wire) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.wg.Go(func() { w.serve(c) })
	}
}

func (w *wire) serve(client net.Conn) {
	defer client.Close()
	server, err := w.dial(w.ctx)
	if err != nil {
		return
	}
	defer server.Close()
	l := &line{ends: [2]net.Conn{client, server}}
	w.mu.Lock()
	w.open[l] = true
	w.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.pump(l, there) })
	wg.Go(func() { w.pump(l, back) })
	wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, l)
}

// pump carries what goes one way, and ends the connection with it.
func (w *wire) pump(l *line, way way) {
	defer l.ends[there].Close()
	defer l.ends[back].Close()
	b := make([]byte, 32<<10)
	for {
		n, err := l.ends[way].Read(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		lost, delay := w.loses[way], w.delay
		l.torn = l.torn || lost
		w.mu.Unlock()
		if lost {
			continue
		}
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-w.ctx.Done():
				return
			}
		}
		if _, err := l.ends[1-way].Write(b[:n]); err != nil {
			return
		}
	}
}

// front is what stands before a cluster: a wire that gives each connection to
// the next node that takes one.
func (c *cluster) front() *wire {
	var mu sync.Mutex
	next := 0
	return newWire(c.t, func(ctx context.Context) (conn net.Conn, err error) {
		for range c.nodes {
			mu.Lock()
			next++
			n := c.nodes[next%len(c.nodes)]
			mu.Unlock()
			if conn, err = to("tcp", n.listen)(ctx); err == nil {
				return conn, nil
			}
		}
		return nil, err
	})
}
