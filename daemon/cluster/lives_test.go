package cluster

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

// TestWhoLives: a node is known by its lease. One that has come, or is back, since
// the list was read is no stranger for a moment, and strangers cost little.
func TestWhoLives(t *testing.T) {
	times := quick()
	times.Look = time.Hour // nothing is read but for who asks
	w := startWith(t, times)
	lives := func(id meta.NodeID) bool {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return w.Lives(ctx, id)
	}
	if lives(one) || lives(self) || lives("") {
		t.Error("who is not in the list lives")
	}
	n := w.join(one, hello)
	if !lives(one) {
		t.Error("a node that has just joined does not")
	}
	reads := w.rows.reads()
	for range 100 {
		lives(one)
	}
	if now := w.rows.reads(); now != reads {
		t.Errorf("for a node that is known the list is read %d times", now-reads)
	}
	w.rows.set(meta.Node{ID: one, Address: n.Listener.Addr().String()})
	w.look(t.Context())
	if lives(one) {
		t.Error("a node whose lease is over lives")
	}
	w.rows.set(meta.Node{ID: one, Address: n.Listener.Addr().String(), Living: true})
	if !lives(one) {
		t.Error("a node that is back does not")
	}
	reads = w.rows.reads()
	began := time.Now()
	var asked sync.WaitGroup
	for range 100 {
		asked.Go(func() { lives(two) })
	}
	asked.Wait()
	if now, most := w.rows.reads()-reads, 2+int(time.Since(began)/times.Again); now > most {
		t.Errorf("for 100 questions after a stranger the list is read %d times, want %d at most", now, most)
	}
}

// TestNobodyIsAStrangerBeforeTheStart: a request may be there before Run is.
func TestNobodyIsAStrangerBeforeTheStart(t *testing.T) {
	r := &rows{all: map[meta.NodeID]meta.Node{one: {ID: one, Address: "127.0.0.1:1", Living: true}}}
	client, err := peer.NewClient(peer.Signer{Self: self, Key: key(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c := New(Config{Self: self, Nodes: r, Sender: client, Log: slog.New(slog.DiscardHandler), Report: func() Report { return Report{} }, Times: quick()})
	lives := make(chan bool, 1)
	go func() { lives <- c.Lives(t.Context(), one) }()
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	runs.Go(func() { c.Run(ctx) })
	if !<-lives {
		t.Error("a node that has a lease is a stranger")
	}
	cancel()
	runs.Wait()
}
