//go:build postgres

package job

import (
	"context"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestWordOfAnotherProcess: a queue that looks by itself once an hour begins
// what another process enqueued, and ends what it cancelled.
func TestWordOfAnotherProcess(t *testing.T) {
	w, on := twoProcesses(t)
	there, err := meta.Open(t.Context(), on)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := there.Close(); err != nil {
			t.Error(err)
		}
	})
	_, stop := there.JobHints() // as a process with a queue of its own
	t.Cleanup(stop)
	h := newHolding()
	w.run(Config{Poll: time.Hour, Handlers: []Handler{
		{Kind: "k", Do: func(context.Context, *Run) error { return nil }}, {Kind: "held", Do: h.do},
	}})
	for range 3 {
		id, _, err := there.Enqueue(t.Context(), meta.NewJob{Kind: "k"})
		if err != nil {
			t.Fatal(err)
		}
		w.ends(id, protocol.JobDone)
	}
	id, _, err := there.Enqueue(t.Context(), meta.NewJob{Kind: "held"})
	if err != nil {
		t.Fatal(err)
	}
	<-h.begun
	if _, err := there.CancelJob(t.Context(), meta.AnyOwner, id); err != nil {
		t.Fatal(err)
	}
	<-h.ended
	w.ends(id, protocol.JobCancelled)
}
