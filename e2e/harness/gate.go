package harness

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Direction is one way through a Gate.
type Direction int

// Up is from osp to the daemon, Down the way back.
const (
	Up Direction = iota
	Down
)

// Gate is a TCP proxy that lets a number of bytes pass in one direction and
// then holds everything that goes that way, so that a test can kill a process
// at a byte it chose and not at a time.
type Gate struct {
	// URL is where osp finds the daemon through the gate.
	URL string

	listener net.Listener
	gated    Direction
	work     sync.WaitGroup

	mu      sync.Mutex
	target  string
	limit   int64
	passed  [2]int64
	reached chan struct{}
	// cut is closed when the connections in conns are; Reopen makes a new one.
	cut    chan struct{}
	conns  map[net.Conn]bool
	closed bool
}

// NewGate is a gate in front of the daemon at target, closing after limit
// bytes in the direction given; limit < 0 is a gate that never closes.
func NewGate(t testing.TB, target string, gated Direction, limit int64) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{
		URL: "http://" + l.Addr().String(), listener: l, gated: gated,
		target: hostOf(t, target), limit: limit,
		reached: make(chan struct{}), cut: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	g.work.Go(g.accept)
	t.Cleanup(g.Close)
	return g
}

func hostOf(t testing.TB, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// Reached is closed once the limit was reached.
func (g *Gate) Reached() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reached
}

// Passed is how many bytes, headers and all, have gone each way.
func (g *Gate) Passed() (up, down int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed[Up], g.passed[Down]
}

// Reopen cuts every connection and goes on in front of target; limit counts
// from the gate's first byte on.
func (g *Gate) Reopen(t testing.TB, target string, limit int64) {
	t.Helper()
	host := hostOf(t, target)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cutAll()
	g.target, g.limit = host, limit
	g.reached, g.cut = make(chan struct{}), make(chan struct{})
}

// Close cuts every connection, closes the gate, and returns when nothing of
// it runs any more.
func (g *Gate) Close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		g.listener.Close()
		g.cutAll()
	}
	g.mu.Unlock()
	g.work.Wait()
}

// cutAll is called with mu held.
func (g *Gate) cutAll() {
	close(g.cut)
	for c := range g.conns {
		c.Close()
	}
	clear(g.conns)
}

func (g *Gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		target := g.target
		g.mu.Unlock()
		daemon, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		cut, ok := g.track(client, daemon)
		if !ok {
			return
		}
		g.work.Go(func() { g.pass(daemon, client, Up, cut) })
		g.work.Go(func() { g.pass(client, daemon, Down, cut) })
	}
}

// track remembers a pair of connections until they are cut; a closed gate
// closes them instead.
func (g *Gate) track(pair ...net.Conn) (cut <-chan struct{}, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range pair {
		if g.closed {
			c.Close()
		} else {
			g.conns[c] = true
		}
	}
	return g.cut, !g.closed
}

// pass copies one way until either side ends, and then ends both.
func (g *Gate) pass(to, from net.Conn, d Direction, cut <-chan struct{}) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		allowed := g.allow(d, int64(n))
		if _, werr := to.Write(buf[:allowed]); werr != nil {
			return
		}
		if allowed < int64(n) {
			<-cut
			return
		}
		if err != nil {
			return
		}
	}
}

// allow says how many of n bytes may pass, and counts them.
func (g *Gate) allow(d Direction, n int64) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d == g.gated && g.limit >= 0 && g.passed[d]+n >= g.limit {
		n = g.limit - g.passed[d]
		select {
		case <-g.reached:
		default:
			close(g.reached)
		}
	}
	g.passed[d] += n
	return n
}
