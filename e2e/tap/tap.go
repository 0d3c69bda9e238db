// Package tap listens between a daemon and those who talk to it, and holds each
// answer to the daemon's OpenAPI document. Bytes pass unchanged, and so do the
// ends of connections, gentle or not: whoever is tested finds the daemon as it
// is.
package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/api/openapi/openapitest"
)

// dialPatience is how long the daemon may take to accept a connection.
const dialPatience = 10 * time.Second

// Tap is one, in front of one daemon.
type Tap struct {
	listener *net.TCPListener
	target   string
	document *openapitest.Document
	report   func(error)
	// ended is done once Close was called.
	ended   context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	seen map[openapitest.Pair]bool
}

// New listens on a free port of loopback in front of the daemon at target, a
// HOST:PORT. What is wrong with an answer goes to report, which is called by
// many at once, never after Close has returned.
func New(target string, document *openapitest.Document, report func(error)) (*Tap, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	t := &Tap{listener: l, target: target, document: document, report: report, seen: map[openapitest.Pair]bool{}}
	t.ended, t.end = context.WithCancel(context.Background())
	t.running.Go(t.accept)
	return t, nil
}

// URL is where the daemon is found through the tap.
func (t *Tap) URL() string { return "http://" + t.listener.Addr().String() }

// Close cuts what is open, and waits until every answer that came was looked at.
func (t *Tap) Close() error {
	t.end()
	err := t.listener.Close()
	t.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Refuse has connections refused from now on, as where no daemon listens.
func (t *Tap) Refuse() {
	// Where it was closed before, they are refused already.
	_ = t.listener.Close()
}

// Seen reports whether such an answer came.
func (t *Tap) Seen(pair openapitest.Pair) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[pair]
}

func (t *Tap) accept() {
	for {
		c, err := t.listener.AcceptTCP()
		if err != nil {
			return
		}
		t.running.Go(func() { t.serve(c) })
	}
}

// serve joins a connection with one to the daemon. One that the daemon does not
// take is reset.
func (t *Tap) serve(client *net.TCPConn) {
	defer client.Close()
	d := net.Dialer{Timeout: dialPatience}
	c, err := d.DialContext(t.ended, "tcp", t.target)
	if err != nil {
		reset(client)
		return
	}
	daemon, _ := c.(*net.TCPConn)
	defer daemon.Close()
	defer context.AfterFunc(t.ended, func() {
		reset(client)
		reset(daemon)
	})()
	talk := newTalk(t)
	var both sync.WaitGroup
	both.Go(func() { pass(daemon, client, talk.up) })
	both.Go(func() { pass(client, daemon, talk.down) })
	both.Go(talk.listen)
	both.Wait()
}

// pass copies from one connection to the other, and tells ear. An end is passed
// on as an end, and a failure as a reset.
func pass(to, from *net.TCPConn, ear *ear) {
	defer ear.close()
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			ear.hear(buf[:n])
			if _, err := to.Write(buf[:n]); err != nil {
				reset(from)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			// Where the other side has gone, it needs no end.
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			reset(to)
			return
		}
	}
}

// reset closes a connection as one is closed that failed.
func reset(c *net.TCPConn) {
	// Of a connection that is closed nothing is left to be done.
	_ = c.SetLinger(0)
	_ = c.Close()
}
