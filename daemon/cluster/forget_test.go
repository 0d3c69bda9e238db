package cluster

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

// TestNothingIsKeptOfANodeThatIsGone: the connections to a node are closed where
// its lease is over, those of requests and those of pings. It may never be there
// again, and each of thousands that come and go would leave some open.
func TestNothingIsKeptOfANodeThatIsGone(t *testing.T) {
	var clients [2]*peer.Client
	for i := range clients {
		var err error
		if clients[i], err = peer.NewClient(peer.Signer{Self: self, Key: key(t)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, rows: &rows{all: map[meta.NodeID]meta.Node{}}, log: &lockedBuffer{}}
	w.Cluster = New(Config{Self: self, Nodes: w.rows, Sender: clients[0], Pinger: clients[1],
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Report: w.report, Times: quick()})
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	runs.Go(func() { w.Run(ctx) })
	defer func() {
		cancel()
		runs.Wait()
		for _, c := range clients {
			c.Close()
		}
	}()
	n := &node{id: one, verifier: peer.NewVerifier(peer.VerifierConfig{Self: one, Key: key(t)}), serve: hello}
	n.Server = httptest.NewUnstartedServer(n)
	conns := &open{}
	n.Config.ConnState = conns.note
	n.Start()
	defer n.Close()
	row := meta.Node{ID: one, Address: n.Listener.Addr().String(), Living: true}
	w.rows.set(row)
	w.until("a connection of a request is open, and one of pings", func() bool {
		_, err := w.ask(one)
		return err == nil && w.isUp(one) && conns.count() >= 2
	})
	row.Living = false
	w.rows.set(row)
	w.until("its connections are closed", func() bool { return conns.count() == 0 })
}

// open counts the connections of a server.
type open struct {
	mu sync.Mutex
	n  int
}

func (o *open) note(_ net.Conn, state http.ConnState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch state {
	case http.StateNew:
		o.n++
	case http.StateClosed:
		o.n--
	}
}

func (o *open) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}
