package job

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// holding is a handler that says when it began, and why it ended.
type holding struct{ begun, ended chan error }

func newHolding() holding { return holding{make(chan error, 10), make(chan error, 10)} }

func (h holding) do(ctx context.Context, _ *Run) error {
	h.begun <- nil
	<-ctx.Done()
	h.ended <- context.Cause(ctx)
	return ctx.Err()
}

// shortLease lets a test see a lease run out; nothing depends on how soon.
const shortLease = 200 * time.Millisecond

// TestLeaseLost: who works on a job that another took over is told, and what he
// says of it afterwards changes nothing.
func TestLeaseLost(t *testing.T) {
	w := newWorld(t)
	h := newHolding()
	stop := w.run(Config{Handlers: []Handler{{Kind: "k", Do: h.do, Lease: shortLease}}})
	id := w.enqueue(meta.NewJob{})
	<-h.begun
	taken := w.takeOver(id)
	if cause := <-h.ended; !errors.Is(cause, meta.ErrLeaseLost) {
		t.Errorf("it was told %v", cause)
	}
	stop()
	if j := w.job(id); j.State != protocol.JobRunning || j.Holder != "thief" || j.Attempts != 2 {
		t.Errorf("%+v", j)
	}
	if err := w.db.EndJob(t.Context(), taken.Lease, meta.JobOutcome{}); err != nil {
		t.Error(err)
	}
}

// takeOver leases a job that another holds, as if he had left it.
func (w *world) takeOver(id protocol.JobID) meta.LeasedJob {
	w.Helper()
	for {
		_, err := w.db.AbandonLeases(w.Context(), "")
		if err != nil {
			w.Fatal(err)
		}
		jobs, err := w.db.LeaseJobs(w.Context(), meta.JobHolder{Name: "thief"}, meta.JobLine{Kind: "k", Expired: true}, time.Hour, 10)
		if err != nil {
			w.Fatal(err)
		}
		for _, j := range jobs { // the holder may have beaten in between
			if j.ID == id {
				return j
			}
		}
	}
}

// deaf are records that take no beats.
type deaf struct{ *meta.DB }

func (deaf) BeatJob(context.Context, meta.JobLease, time.Duration, *protocol.JobProgress, json.RawMessage) (bool, error) {
	return false, errors.New("the database is away")
}

// TestDatabaseIsAway: who cannot keep his lease does not go on as if he had it.
func TestDatabaseIsAway(t *testing.T) {
	w := newWorld(t)
	h := newHolding()
	w.run(Config{Meta: deaf{w.db}, Handlers: []Handler{{Kind: "k", Do: h.do, Lease: shortLease, Backoff: func(int) time.Duration { return time.Hour }}}})
	id := w.enqueue(meta.NewJob{})
	<-h.begun
	if cause := <-h.ended; !errors.Is(cause, meta.ErrLeaseLost) {
		t.Errorf("it was told %v", cause)
	}
	w.until(id, "tried again", func(j meta.Job) bool { return j.State == protocol.JobReady })
}

// stubborn are records that lose the first ends of attempts.
type stubborn struct {
	*meta.DB
	mu   sync.Mutex
	lost int
}

func (s *stubborn) EndJob(ctx context.Context, l meta.JobLease, o meta.JobOutcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost++; s.lost <= 2 {
		return errors.New("the database is away")
	}
	return s.DB.EndJob(ctx, l, o)
}

// TestEndIsRecordedLater: an end that the database did not take is said again.
func TestEndIsRecordedLater(t *testing.T) {
	w := newWorld(t)
	cfg := one(func(context.Context, *Run) error { return nil })
	cfg.Meta = &stubborn{DB: w.db}
	w.run(cfg)
	w.ends(w.enqueue(meta.NewJob{}), protocol.JobDone)
}

// TestClockJumps: a clock that is set while jobs run has none run twice, and
// none wait for ever.
func TestClockJumps(t *testing.T) {
	const years = 10 * 365 * 24 * time.Hour
	for _, jump := range []time.Duration{years, -years} {
		t.Run(jump.String(), func(t *testing.T) {
			c := &movable{}
			db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Clock: c.now})
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			w := &world{T: t, db: db}
			begun, release := make(chan int, 10), make(chan struct{})
			w.run(Config{Poll: time.Millisecond, Handlers: []Handler{
				{Kind: "k", Concurrency: 2, Do: func(_ context.Context, r *Run) error {
					begun <- r.Job.Attempts
					<-release
					return nil
				}},
				{Kind: "quick", Do: func(context.Context, *Run) error { return nil }},
			}})
			waits := w.enqueue(meta.NewJob{Kind: "quick", After: time.Minute})
			id := w.enqueue(meta.NewJob{})
			<-begun
			c.move(jump)
			w.ends(w.enqueue(meta.NewJob{Kind: "quick"}), protocol.JobDone)
			if jump > 0 {
				w.ends(waits, protocol.JobDone)
			} else {
				w.until(waits, "to wait a minute from now", func(j meta.Job) bool { return j.RunAt.Sub(c.now()) <= time.Minute })
			}
			close(release)
			if j := w.ends(id, protocol.JobDone); j.Attempts != 1 || len(begun) != 0 {
				t.Errorf("%d attempts, %d more begun", j.Attempts, len(begun))
			}
		})
	}
}

// movable is the system's clock, which can be set.
type movable struct {
	mu  sync.Mutex
	off time.Duration
}

func (m *movable) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.off)
}

func (m *movable) move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off += d
}
