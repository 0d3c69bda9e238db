package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
)

// TestResumedInTheMiddle: an attempt that goes on in the middle of the source has
// not seen what lies before, and says neither that nothing is left there nor that
// nothing is damaged.
func TestResumedInTheMiddle(t *testing.T) {
	m := newMoving(t)
	data := noise(1, 100)
	unknown := m.commitUnknown(ann, "unknown", data)
	damaged := m.putSmall(ann, "damaged", noise(2, 100))
	m.damage(ann, damaged, 50)
	for i := range 150 {
		m.putSmall(ann, fmt.Sprint(i), noise(byte(i), 200+i))
	}
	id := m.ask("disk", "mem")
	ctx, cancel := context.WithCancel(t.Context())
	passes := 0
	m.listing = func(ctx context.Context, after meta.BlobID) {
		switch {
		case after == 0:
			passes++
		case passes == 2: // the first moved all that can be
			cancel()
			<-ctx.Done() // the attempt's own
		}
	}
	q, err := job.New(job.Config{Meta: m.db, Alone: true, Holder: meta.JobHolder{Name: "one"}, Logger: slog.New(slog.DiscardHandler), Handlers: []job.Handler{m.handler()}})
	must(t, err)
	if err := q.RunDue(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	m.listing = nil
	m.waits(m.goOn(id), "waits for the digests of 1 contents")
	m.digests()
	m.ended(m.goOn(id), "151 contents, 0 skipped, 1 damaged (left in disk; files "+damaged.String()+"), 0 waiting")
	m.world.reads(ann, unknown, data)
	must(t, errors.Join(m.Close(), m.db.Close())) // fsck would find what is damaged
}
