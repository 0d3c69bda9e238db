package api

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/protocol"
)

// A refused request may leave bytes unread. Closing a socket that holds unread
// bytes resets the connection, and the reset can overtake the answer that says
// why. So a connection that refused one ends as net/http ends it: no more is
// sent, what still comes is thrown away for a moment, then it is closed.
const (
	lingerTime  = time.Second
	lingerBytes = 32 << 20 // more than a client sends of most bodies before it looks
	// Another node stops sending by itself once it has seen the answer, for which it
	// may have no time at once. What it would be told of a reset is that nobody knows
	// what was done.
	peerLingerTime  = 5 * time.Second
	peerLingerBytes = 1 << 30
)

// tcpConn is a TCP connection that can linger, and whose other end is looked
// after where it is a node of the cluster.
type tcpConn struct {
	*net.TCPConn
	linger atomic.Bool
	// full says that there are too many others: it is there for pings alone.
	full bool
	// side says that it came in by the way for other nodes.
	side bool
	// from is the node at the other end, over which vigil is kept; nil before one has
	// shown itself. The goroutine that serves the connection sets both.
	from  string
	vigil Vigil
}

// Read is io.Reader.
func (c *tcpConn) Read(p []byte) (int, error) {
	defer c.waits()()
	return c.TCPConn.Read(p)
}

// Write is io.Writer.
func (c *tcpConn) Write(p []byte) (int, error) {
	defer c.waits()()
	return c.TCPConn.Write(p)
}

// ReadFrom is io.ReaderFrom: of files it is sendfile.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	defer c.waits()()
	return c.TCPConn.ReadFrom(r)
}

// waits says that the other end is waited for, until rest.
func (c *tcpConn) waits() (rest func()) {
	if c.vigil == nil {
		return func() {}
	}
	c.vigil.Begin()
	return c.vigil.Rest
}

// watch keeps a vigil over the node that showed itself at the other end.
func (c *tcpConn) watch(v peer.Verified, peers Peers) {
	if c.from == string(v.From) {
		return
	}
	c.unwatch()
	c.from, c.vigil = string(v.From), peers.Watch(v, func() { _ = c.abort() }) // it is given up
}

// unwatch ends the vigil, if there is one.
func (c *tcpConn) unwatch() {
	if c.vigil != nil {
		c.vigil.End()
		c.from, c.vigil = "", nil
	}
}

// Close closes the connection, after a moment where linger asks for it.
func (c *tcpConn) Close() error {
	within, most := lingerTime, int64(lingerBytes)
	if c.side {
		within, most = peerLingerTime, peerLingerBytes
	}
	if c.linger.Swap(false) && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(within)) == nil {
		// Whatever ends this, the connection is closed next.
		_, _ = io.Copy(io.Discard, io.LimitReader(c.TCPConn, most))
	}
	return c.TCPConn.Close()
}

// abort closes the connection now.
func (c *tcpConn) abort() error { return c.TCPConn.Close() }

// plain is the connection below TLS.
func plain(c net.Conn) net.Conn {
	if t, ok := c.(*sealedConn); ok {
		return t.NetConn()
	}
	return c
}

// lingerOn asks for lingering where the connection can.
func lingerOn(c net.Conn) {
	if t, ok := plain(c).(*tcpConn); ok {
		t.linger.Store(true)
	}
}

// pingConns are how many connections of peers are taken beyond what is served at
// once. They are there for pings: a node that has much to do is not dead.
const pingConns = 64

// listener gives tcpConns, and refuses what is more than the server serves at
// once.
type listener struct {
	net.Listener
	d *door
}

// Accept is net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err // fasthttp compares it
		}
		most := l.d.limits.Connections
		open := l.d.conns.count()
		if open >= most && (!l.d.peers || open >= most+pingConns) {
			l.d.srv.refuseConn(c)
			continue
		}
		if t, ok := c.(*net.TCPConn); ok {
			c = &tcpConn{TCPConn: t, full: open >= most, side: l.d.peers}
		}
		if l.d.tls != nil {
			c = &sealedConn{tls.Server(c, l.d.tls), l.d.srv.refusedTLS}
		}
		return c, nil
	}
}

// refuseConn tells a client that there are too many. The answer fits the
// socket's buffer, so nobody is waited for.
func (s *Server) refuseConn(c net.Conn) {
	e := errTooMany()
	p := e.Problem(requestID(nil))
	if b, err := json.Marshal(p); err == nil && c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
		// Whether it arrives or not, the connection is closed next.
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nRetry-After: 2\r\n%s: %s\r\nConnection: close\r\n\r\n%s",
			p.Status, http.StatusText(p.Status), len(b), protocol.HeaderRequestID, p.RequestID, b)
	}
	s.met.Failed(e.Kind)
	abort(c)
}

func errTooMany() *protocol.Error {
	return &protocol.Error{Kind: protocol.KindUnavailable, Message: "too many connections are open; nothing was done"}
}

// conns are the open connections of a server. fasthttp closes idle ones on
// shutdown, but takes one that has not sent anything yet for active.
type conns struct {
	mu sync.Mutex
	// open says of each whether it is in the middle of a request or its
	// answer; guarded by mu.
	open map[net.Conn]bool
	// ending: whoever is not in the middle of a request is closed.
	ending bool
}

// note is fasthttp's ConnState hook.
func (t *conns) note(c net.Conn, state fasthttp.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[net.Conn]bool{}
	}
	switch state {
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		delete(t.open, c)
		if t, ok := plain(c).(*tcpConn); ok {
			t.unwatch()
		}
	case fasthttp.StateNew, fasthttp.StateIdle:
		t.open[c] = false
		if t.ending {
			abort(c)
		}
	}
}

func (t *conns) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// busy notes that a request came over c. It ends with the next note.
func (t *conns) busy(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.open[c]; open {
		t.open[c] = true
	}
}

// closeIdle closes the connections that are not in the middle of a request,
// now and from now on.
func (t *conns) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = true
	for c, busy := range t.open {
		if !busy {
			abort(c)
		}
	}
}

// closeAll closes every connection, and from now on every new one.
func (t *conns) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = true
	for c := range t.open {
		abort(c)
	}
}

// abort closes c without lingering. What it reports is of no use: the
// connection is given up.
func abort(c net.Conn) {
	c = plain(c)
	if t, ok := c.(*tcpConn); ok {
		_ = t.abort()
		return
	}
	_ = c.Close()
}

// requests counts the requests being served, and lets one drain wait for none.
type requests struct {
	mu sync.Mutex
	n  int
	// idle are those of them that wait for what is done while nobody waits.
	idle     int
	draining bool
	none     chan struct{} // closed once draining and n is 0
}

func (r *requests) begin() {
	r.mu.Lock()
	r.n++
	r.mu.Unlock()
}

func (r *requests) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n--
	if r.draining && r.n == 0 {
		r.closeNone()
	}
}

func (r *requests) some() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n > r.idle
}

// count is how many there are.
func (r *requests) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// idles has one of the requests not count for some, until the end.
func (r *requests) idles() (end func()) {
	add := func(n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.idle += n
	}
	add(1)
	return func() { add(-1) }
}

// drain makes isDraining true and gives what is closed once no request is
// being served. It may be called again.
func (r *requests) drain() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.draining {
		r.draining, r.none = true, make(chan struct{})
	}
	if r.n == 0 {
		r.closeNone()
	}
	return r.none
}

// closeNone closes none once: refused and health requests still come and go
// while a drain waits.
func (r *requests) closeNone() {
	select {
	case <-r.none:
	default:
		close(r.none)
	}
}

func (r *requests) isDraining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}
