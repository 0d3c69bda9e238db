//go:build postgres

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// ofNode is what a daemon tells of a node.
func (d *Daemon) ofNode(t *testing.T, of *Daemon) protocol.Node {
	t.Helper()
	var list protocol.NodeList
	_, b := asked(t, http.MethodGet, d.URL()+"/v1/nodes", nil)
	decoded(t, b, &list)
	for _, n := range list.Nodes {
		if n.ID == string(of.in.Node) {
			return n
		}
	}
	t.Fatalf("%s has no node %s", b, of.in.Node)
	return protocol.Node{}
}

// TestPostgresWhatNodesTell: each node tells of each at which address it is, which
// is where it listens for its peers, what lies on its disk and nowhere else, how
// many requests it is at work on, and that it drains.
func TestPostgresWhatNodesTell(t *testing.T) {
	first := joining(t, config(t))
	second := nodeOn(t, first)
	a, _ := running(t, first)
	b, _ := running(t, second)
	for i, size := range []int{100, 7} {
		uploadTo(t, []*Daemon{a, b}[i], make([]byte, size))
	}
	for _, asked := range []*Daemon{a, b} {
		eventually(t, func() bool {
			na, nb := asked.ofNode(t, a), asked.ofNode(t, b)
			return na.HeldBytes != nil && *na.HeldBytes == 100 && nb.HeldBytes != nil && *nb.HeldBytes == 7
		})
		if n := asked.ofNode(t, b); n.Address == nil || *n.Address != second.Cluster.PeerListen || n.Version != "test" || !n.Living || n.Draining || n.Load != 0 || !n.LeaseUntil.After(n.Since.Time) {
			t.Errorf("the second node is %+v", n)
		}
	}
	body, half := io.Pipe()
	answered := make(chan error, 1)
	go func() { answered <- put(t.Context(), a.URL(), body, 10) }()
	if _, err := half.Write(make([]byte, 5)); err != nil {
		t.Error(err)
	}
	load := func() int64 {
		if err := a.in.place.renew(t.Context()); err != nil {
			t.Error(err)
		}
		return b.ofNode(t, a).Load
	}
	eventually(t, func() bool { return load() == 1 })
	if _, err := half.Write(make([]byte, 5)); err != nil {
		t.Error(err)
	}
	half.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	eventually(t, func() bool { return load() == 0 })
	a.ends.Store(true)
	load()
	if n := b.ofNode(t, a); !n.Stopping || n.Draining {
		t.Error("a node that stops is told to be none")
	}
}

// put puts a small file.
func put(ctx context.Context, url string, body io.Reader, size int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/files?name=slow", body)
	if err != nil {
		return err
	}
	req.ContentLength, req.Close = size, true
	r, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusCreated {
		err = fmt.Errorf("answered %s", r.Status)
	}
	return errors.Join(err, r.Body.Close())
}
