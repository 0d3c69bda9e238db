package cluster

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
)

// begin asks for an answer that comes in pieces.
func (w *world) begin() *peer.Answer {
	w.t.Helper()
	answer, err := w.Do(w.t.Context(), one, peer.Request{Method: "GET", Path: "/"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// pieces is a handler that sends what it is given.
func pieces(next <-chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for text := range next {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// TestAStreamOfADeadNodeIsCut, and is not taken for whole.
func TestAStreamOfADeadNodeIsCut(t *testing.T) {
	w := start(t)
	next := make(chan string, 1)
	defer close(next)
	n := w.between(w.join(one, pieces(next)))
	next <- "half"
	answer := w.begin()
	if _, err := io.ReadFull(answer.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	n.hold(fromNode)
	_, err := io.ReadAll(answer.Body)
	if _, ok := errors.AsType[*peer.Broken](err); !ok || !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
}

// TestAStreamThatComesGoesOn whatever became of the pings: a node that has no
// time for them is not dead.
func TestAStreamThatComesGoesOn(t *testing.T) {
	w := start(t)
	next := make(chan string, 1)
	n := w.join(one, pieces(next))
	next <- "half"
	answer := w.begin()
	n.mu.Lock() // pings wait for it
	defer n.mu.Unlock()
	w.until("it is down", func() bool { return w.isDown(one) })
	for range 100 {
		next <- "more"
		if _, err := io.ReadFull(answer.Body, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	close(next)
	if _, err := io.ReadAll(answer.Body); err != nil {
		t.Error(err)
	}
}

// TestACallerWhoLeaves ends the request at the other node.
func TestACallerWhoLeaves(t *testing.T) {
	w := start(t)
	left := make(chan struct{})
	w.join(one, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	ctx, cancel := context.WithCancel(t.Context())
	answer, err := w.Do(ctx, one, peer.Request{Method: "GET", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-left
	if _, err := io.ReadAll(answer.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	answer.Body.Close()
}
