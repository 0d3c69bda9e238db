package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster"
	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

// counted is what was counted of peers.
type counted struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counted) note(label string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[label] += n
}

func (c *counted) PeerHanded(outcome string) { c.note(outcome, 1) }
func (c *counted) PeerChanged(change string) { c.note("a node is "+change, 1) }
func (c *counted) PeerCertificateEnds(at time.Time) {
	c.note("a certificate that ends at "+at.String(), 1)
}
func (c *counted) PeerBytes(sent, received int64) {
	c.note("sent", int(sent))
	c.note("received", int(received))
}
func (c *counted) PeerInFlight(side string, delta int) { c.note("in flight, "+side, delta) }

// oneNode is the list of a cluster with one other node, which answers as do says.
type oneNode struct {
	do func(r peer.Request) (*peer.Answer, error)
}

const otherNode meta.NodeID = "00000000000000000000000000000002"

func (oneNode) Nodes(context.Context) ([]meta.Node, error) {
	return []meta.Node{{ID: otherNode, Address: "127.0.0.1:1", Living: true}}, nil
}

func (oneNode) Forget(meta.NodeID) {}

func (n oneNode) Do(_ context.Context, _ peer.Peer, r peer.Request) (*peer.Answer, error) {
	if r.Path == peer.PingPath {
		return &peer.Answer{Status: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
	return n.do(r)
}

// TestWhatIsHandedOnIsCounted, each request once, at its end.
func TestWhatIsHandedOnIsCounted(t *testing.T) {
	broken := errors.New("broken")
	answers := func(body io.Reader) func(r peer.Request) (*peer.Answer, error) {
		return func(r peer.Request) (*peer.Answer, error) {
			if r.Body != nil {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return nil, err
				}
			}
			return &peer.Answer{Status: http.StatusNotFound, Body: io.NopCloser(body)}, nil
		}
	}
	fails := func(err error) func(peer.Request) (*peer.Answer, error) {
		return func(peer.Request) (*peer.Answer, error) { return nil, err }
	}
	for name, c := range map[string]struct {
		do   func(peer.Request) (*peer.Answer, error)
		want map[string]int
	}{
		"answered": {answers(strings.NewReader("hello")), map[string]int{"answered": 1, "sent": 4, "received": 5}},
		"cut":      {answers(io.MultiReader(strings.NewReader("he"), failing{broken})), map[string]int{"cut": 1, "sent": 4, "received": 2}},
		"refused":  {fails(&peer.Refused{Node: otherNode}), map[string]int{"refused": 1}},
		"broken":   {fails(&peer.Broken{Node: otherNode, Begun: true, Err: broken}), map[string]int{"broken": 1}},
		"down":     {fails(&peer.Unreached{Node: otherNode, Err: broken}), map[string]int{"owner_down": 1}},
		"body":     {fails(&peer.BodyFailed{Err: broken}), map[string]int{"body": 1}},
	} {
		seen := &counted{seen: map[string]int{}}
		n := oneNode{c.do}
		p := &peering{counts: seen}
		p.cluster = cluster.New(cluster.Config{Self: "self", Nodes: n, Sender: n, Log: slog.New(slog.DiscardHandler),
			Report: func() cluster.Report { return cluster.Report{} }, Changed: seen.PeerChanged})
		stop := started(p.cluster.Run)
		for !p.cluster.Lives(t.Context(), otherNode) {
			t.Log("the list is not read yet")
		}
		answer, err := p.handOn(t.Context(), otherNode, peer.Request{Method: http.MethodPut, Path: "/", Body: strings.NewReader("body"), Length: 4})
		if err == nil {
			if seen.seen["in flight, handed"] != 1 {
				t.Errorf("%s: it is not in flight", name)
			}
			_, _ = io.Copy(io.Discard, answer.Body) // how it ends is the case's
			for range 2 {
				if err := answer.Body.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		stop()
		maps.DeleteFunc(seen.seen, func(_ string, n int) bool { return n == 0 })
		c.want["a node is new"] = 1
		if !maps.Equal(seen.seen, c.want) {
			t.Errorf("%s: counted %v, want %v", name, fmt.Sprint(seen.seen), c.want)
		}
	}
}

// failing is a body that breaks.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
