package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

// put sends a body in the background.
func (w *world) put(body io.Reader, interrupt func()) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := w.send(one, peer.Request{Method: "PUT", Path: "/", Body: body, Length: 1 << 30, Interrupt: interrupt})
		done <- err
	}()
	return done
}

// TestABodyThatMovesGoesOn whatever became of the pings: a node that has no time for
// them is not dead.
func TestABodyThatMovesGoesOn(t *testing.T) {
	w := start(t)
	n := w.join(one, func(w http.ResponseWriter, r *http.Request) {
		p := make([]byte, 4)
		for {
			if _, err := io.ReadFull(r.Body, p); err != nil {
				return
			}
			if string(p) == "done" {
				hello(w, r)
				return
			}
		}
	})
	r, body := io.Pipe()
	done := w.put(r, func() { r.Close() })
	piece := func(text string) {
		if _, err := io.WriteString(body, text); err != nil {
			t.Fatal(err, <-done)
		}
	}
	piece("some")
	n.mu.Lock() // pings wait for it
	defer n.mu.Unlock()
	w.until("it is down", func() bool { return w.isDown(one) })
	for range 100 {
		piece("more")
	}
	piece("done")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestABodyThatStandsStillIsCut when its node is down, be it that the node takes no
// more of it, or that its client has sent nothing for long.
func TestABodyThatStandsStillIsCut(t *testing.T) {
	for name, sent := range map[string]int{"the node takes nothing": 1 << 30, "the client sends nothing": 1 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			n := w.between(w.join(one, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
			w.until("it is there", func() bool { return w.isUp(one) })
			r, body := io.Pipe()
			defer body.Close()
			done := w.put(r, func() { r.Close() })
			if _, err := body.Write(make([]byte, 1<<10)); err != nil {
				t.Fatal(err)
			}
			n.hold(toNode)
			go func() { _, _ = body.Write(make([]byte, sent-1<<10)) }() // it ends with r
			if e := ownerDown(t, <-done); !strings.Contains(e.Message, "not known") {
				t.Errorf("what may have been done is told as %q", e.Message)
			}
		})
	}
}

// lame is a sender by which pings of the numbers given are not answered in time.
type lame struct {
	loses func(number int32) bool
	sent  atomic.Int32
}

func (l *lame) Forget(meta.NodeID) {}

func (l *lame) Do(ctx context.Context, _ peer.Peer, _ peer.Request) (*peer.Answer, error) {
	if l.loses(l.sent.Add(1)) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &peer.Answer{Status: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// TestPingsThatOverlapAreOne: what loses two that were under way at a time is one
// failing, and a node that answered since lives.
func TestPingsThatOverlapAreOne(t *testing.T) {
	sender, log := &lame{loses: func(n int32) bool { return n%4 == 2 || n%4 == 3 }}, &lockedBuffer{}
	rows := &rows{all: map[meta.NodeID]meta.Node{one: {ID: one, Address: "127.0.0.1:1", Living: true}}}
	c := New(Config{Self: self, Nodes: rows, Sender: sender, Log: slog.New(slog.NewTextHandler(log, nil)), Times: quick()})
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	runs.Go(func() { c.Run(ctx) })
	w := &world{t: t, Cluster: c, log: log}
	w.until("pings were lost four times", func() bool { return sender.sent.Load() > 16 })
	cancel()
	runs.Wait()
	if strings.Contains(log.String(), "is down") {
		t.Errorf("it was taken for dead: %s", log)
	}
}

// TestAConnectionOfADeadNodeIsCut where somebody has waited for it, and no sooner.
func TestAConnectionOfADeadNodeIsCut(t *testing.T) {
	w := start(t)
	n := w.join(one, hello)
	w.until("it is there", func() bool { return w.isUp(one) })
	cut := map[string]chan struct{}{}
	watch := func(name string) *Vigil {
		gone := make(chan struct{})
		cut[name] = gone
		return w.Watch(one, func() { close(gone) })
	}
	waits, rests, ended := watch("waits"), watch("rests"), watch("ended")
	defer waits.End()
	defer rests.End()
	for _, v := range []*Vigil{waits, rests, ended} {
		v.Begin()
	}
	rests.Rest()
	ended.End()
	n.Close()
	<-cut["waits"]
	if !w.isDown(one) {
		t.Error("it was cut while its node lived")
	}
	// A lease that is over tells the same of whoever comes later.
	w.rows.set(meta.Node{ID: one, Address: n.Listener.Addr().String()})
	w.until("its lease is over", func() bool { _, there := w.state(one); return !there })
	later := watch("later")
	defer later.End()
	later.Begin()
	<-cut["later"]
	for _, name := range []string{"rests", "ended"} {
		select {
		case <-cut[name]:
			t.Errorf("the one that %s was cut", name)
		default:
		}
	}
	if _, err := w.ask(one); !errors.Is(err, errOver) {
		t.Errorf("%v", err)
	}
}

// TestAConnectionOfANodeThatSendsIsKept though it cannot be asked: the network
// carries one direction alone, or its address is wrong here.
func TestAConnectionOfANodeThatSendsIsKept(t *testing.T) {
	times := quick()
	times.Stall = time.Minute
	w := startWith(t, times)
	w.join(one, hello).Close()
	w.until("it is down", func() bool { return w.isDown(one) })
	var cuts atomic.Int32
	v := w.Watch(one, func() { cuts.Add(1) })
	defer v.End()
	v.Begin()
	began := time.Now()
	if !w.Lives(t.Context(), one) {
		t.Fatal("its lease is over")
	}
	if w.cutStill(began.Add(3 * times.Stall)); cuts.Load() != 0 {
		t.Error("it was cut as if nothing had come")
	}
	if w.cutStill(time.Now().Add(3 * times.Stall)); cuts.Load() != 1 {
		t.Error("it is kept although nothing comes any more")
	}
}

// TestPingsHaveTheirOwnWay: that no other request gets through does not make a node
// down.
func TestPingsHaveTheirOwnWay(t *testing.T) {
	answers := func(yes bool) *lame { return &lame{loses: func(int32) bool { return !yes }} }
	pings := answers(true)
	rows := &rows{all: map[meta.NodeID]meta.Node{one: {ID: one, Address: "127.0.0.1:1", Living: true}}}
	c := New(Config{Self: self, Nodes: rows, Sender: answers(false), Pinger: pings, Log: slog.New(slog.DiscardHandler), Times: quick()})
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	runs.Go(func() { c.Run(ctx) })
	w := &world{t: t, Cluster: c, log: &lockedBuffer{}}
	w.until("it was asked", func() bool { return pings.sent.Load() > 5 })
	if !w.isUp(one) {
		t.Error("it is down")
	}
	cancel()
	runs.Wait()
}
