package job

import (
	"context"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestPeerStarts: a job that runs on one node goes on there, and is tried once,
// while another node starts.
func TestPeerStarts(t *testing.T) {
	w := newWorld(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	w.run(Config{Holder: meta.HolderOn("aa", "1"), Handlers: []Handler{{Kind: "k", Do: func(ctx context.Context, _ *Run) error {
		begun <- struct{}{}
		select {
		case <-goOn:
		case <-ctx.Done():
		}
		return ctx.Err()
	}}}})
	id := w.enqueue(meta.NewJob{})
	<-begun
	other := make(chan struct{}, 2)
	w.run(Config{Holder: meta.HolderOn("bb", "1"), Handlers: []Handler{
		{Kind: "k", Do: func(context.Context, *Run) error { other <- struct{}{}; return nil }},
		{Kind: "there", Do: func(context.Context, *Run) error { return nil }},
	}})
	w.ends(w.enqueue(meta.NewJob{Kind: "there"}), protocol.JobDone) // it has begun its work
	if j := w.job(id); j.State != protocol.JobRunning || j.Attempts != 1 || j.Holder != "aa/1" {
		t.Errorf("%+v", j)
	}
	close(goOn)
	w.ends(id, protocol.JobDone)
	if j := w.job(id); j.Attempts != 1 || len(other) != 0 {
		t.Errorf("%+v, and %d times there", j, len(other))
	}
}
