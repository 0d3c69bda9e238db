package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func TestANodeIsAsked(t *testing.T) {
	w := start(t)
	w.join(one, hello)
	w.until("it is there", func() bool { return w.isUp(one) })
	if text, err := w.ask(one); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	w.until("it has answered a ping", func() bool { return w.isUp(one) })
	if _, ok := w.state(self); ok || w.Down(self) {
		t.Error("the node asks itself, or takes itself for dead")
	}
}

// TestTheWaysANodeDies: each is seen, ends what waits, and is over when the node
// is back.
func TestTheWaysANodeDies(t *testing.T) {
	for name, die := range map[string]func(n *network) (back func()){
		"it does not hear": func(n *network) func() { n.hold(toNode); return func() { n.pass(toNode) } },
		"it is not heard":  func(n *network) func() { n.hold(fromNode); return func() { n.pass(fromNode) } },
		"it stands still": func(n *network) func() {
			n.hold(toNode)
			n.hold(fromNode)
			return func() { n.pass(toNode); n.pass(fromNode) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			came, end := make(chan struct{}), make(chan struct{})
			first := sync.OnceFunc(func() { close(came) })
			n := w.join(one, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/wait" {
					first()
					<-end
				}
				hello(w, r)
			})
			defer close(end)
			w.join(two, hello)
			net := w.between(n)
			w.until("both are there", func() bool { return w.isUp(one) && w.isUp(two) })
			waits := w.underWay(came, func() error {
				_, err := w.send(one, peer.Request{Method: "DELETE", Path: "/wait"})
				return err
			})
			back := die(net)
			if e := ownerDown(t, <-waits); !strings.Contains(e.Message, "not known") {
				t.Errorf("what may have been done is told as %q", e.Message)
			}
			w.until("it is down", func() bool { return w.isDown(one) })
			_, err := w.ask(one)
			if e := ownerDown(t, err); !strings.Contains(e.Message, "nothing was done") {
				t.Errorf("%q", e.Message)
			}
			w.names(err, one, net.l.Addr().String())
			if text, err := w.ask(two); err != nil || text != "hello" || w.isDown(two) {
				t.Errorf("another node suffers: %q, %v", text, err)
			}
			back()
			w.until("it is back", func() bool { return w.isUp(one) })
			if text, err := w.ask(one); err != nil || text != "hello" {
				t.Errorf("afterwards: %q, %v", text, err)
			}
		})
	}
}

// TestAListenerThatNeverAnswers is a process that was stopped: its kernel takes
// connections.
func TestAListenerThatNeverAnswers(t *testing.T) {
	w := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.rows.set(meta.Node{ID: one, Address: l.Addr().String(), Living: true})
	_, err = w.ask(one)
	ownerDown(t, err)
	w.until("it is down", func() bool { return w.isDown(one) })
}

func TestANodeThatIsGoneAndComesBackElsewhere(t *testing.T) {
	w := start(t)
	n := w.join(one, hello)
	w.until("it is there", func() bool { return w.isUp(one) })
	n.Close()
	_, err := w.ask(one)
	ownerDown(t, err)
	w.until("it is down", func() bool { return w.isDown(one) })
	w.join(one, hello)
	w.until("it is back", func() bool { return w.isUp(one) })
	if text, err := w.ask(one); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestANodeThatIsDownIsNotAsked, also where it would take the request: what it did
// of it nobody would learn.
func TestANodeThatIsDownIsNotAsked(t *testing.T) {
	w := start(t)
	n := w.join(one, func(http.ResponseWriter, *http.Request) { t.Error("it was asked") })
	w.until("it is there", func() bool { return w.isUp(one) })
	n.mu.Lock() // pings wait for it
	defer n.mu.Unlock()
	w.until("it is down", func() bool { return w.isDown(one) })
	_, err := w.send(one, peer.Request{Method: "DELETE", Path: "/"})
	ownerDown(t, err)
}

// TestADeadNodeDelaysNobody: row C07 of the defects of the service before.
func TestADeadNodeDelaysNobody(t *testing.T) {
	w := start(t)
	w.join(two, hello)
	n := w.between(w.join(one, hello))
	w.until("both are there", func() bool { return w.isUp(one) && w.isUp(two) })
	n.hold(fromNode)
	var asked sync.WaitGroup
	var stuck atomic.Int32
	for range 20 {
		asked.Go(func() {
			stuck.Add(1)
			_, err := w.ask(one)
			ownerDown(t, err)
			stuck.Add(-1)
		})
	}
	w.until("20 wait", func() bool { return stuck.Load() == 20 || w.isDown(one) })
	if text, err := w.ask(two); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	asked.Wait()
}

// TestFlapping: a node that comes and goes is as it is at the end.
func TestFlapping(t *testing.T) {
	w := start(t)
	n := w.between(w.join(one, hello))
	for range 5 {
		w.until("it is up", func() bool { return w.isUp(one) })
		n.hold(toNode)
		n.reset()
		w.until("it is down", func() bool { return w.isDown(one) })
		n.pass(toNode)
	}
	w.until("it is up", func() bool { return w.isUp(one) })
	if text, err := w.ask(one); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestAnotherKey: the log says why, and the caller is told to come again.
func TestAnotherKey(t *testing.T) {
	w := start(t)
	other, err := peer.NewKey(strings.Repeat("o", 32))
	if err != nil {
		t.Fatal(err)
	}
	w.joinWith(one, other, hello)
	_, err = w.ask(one)
	if kind := protocol.KindOf(err); kind != protocol.KindUnavailable && kind != protocol.KindOwnerDown {
		t.Errorf("%v", err)
	}
	w.until("it is down", func() bool { return w.isDown(one) })
	if !strings.Contains(w.log.String(), "signature") {
		t.Errorf("the log does not say why: %s", w.log)
	}
}

func TestTheOwnBodyFails(t *testing.T) {
	w := start(t)
	w.join(one, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	_, err := w.send(one, peer.Request{Method: "PUT", Path: "/", Body: strings.NewReader("half"), Length: 8})
	if _, ok := errors.AsType[*peer.BodyFailed](err); !ok || protocol.KindOf(err) == protocol.KindOwnerDown {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Do(ctx, one, peer.Request{Method: "GET", Path: "/"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
