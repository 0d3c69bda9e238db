package job

import (
	"context"
	"log/slog"
	"runtime"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// hasty has what runs end before it is looked whether something does.
type hasty struct {
	Records
	q *Queue
}

func (h *hasty) JobLines(ctx context.Context, holder meta.JobHolder, kinds []protocol.JobKind) ([]meta.JobLine, error) {
	lines, err := h.Records.JobLines(ctx, holder, kinds)
	return append(lines, meta.JobLine{}), err // RestartJobs comes after all else
}

func (h *hasty) RestartJobs(ctx context.Context, limit int) (int, error) {
	for h.q.free("k") == 0 {
		runtime.Gosched()
	}
	return h.Records.RestartJobs(ctx, limit)
}

// TestDueOverlooksNone: RunDue returns when nothing is left, however the ends of
// jobs lie.
func TestDueOverlooksNone(t *testing.T) {
	w := newWorld(t)
	h := &hasty{Records: w.db}
	jobs := 0
	do := func(context.Context, *Run) error {
		jobs++
		return nil
	}
	q, err := New(Config{Meta: h, Handlers: []Handler{{Kind: "k", Do: do}}, Holder: meta.JobHolder{Name: "one"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.q = q
	for range 3 {
		w.enqueue(meta.NewJob{})
	}
	if err := q.RunDue(t.Context()); err != nil || jobs != 3 {
		t.Fatalf("%d jobs ran, %v", jobs, err)
	}
}
