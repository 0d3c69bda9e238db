package digest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// enqueued are the jobs that were made, by when.
type enqueued struct {
	Records
	mu   sync.Mutex
	jobs []meta.NewJob
	at   []time.Time
	fail bool
}

func (e *enqueued) Enqueue(_ context.Context, n meta.NewJob) (protocol.JobID, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail {
		return 0, false, errors.New("the database is away")
	}
	e.jobs, e.at = append(e.jobs, n), append(e.at, time.Now())
	return 1, true, nil
}

func (e *enqueued) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.jobs)
}

// However many files are committed, a job is made once a second at most; and
// each of them has one that begins after its commit.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &enqueued{}
		w := New(Config{Meta: e, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.Run(ctx) })
		time.Sleep(time.Hour)
		if e.count() != 0 {
			t.Fatal("a job was made for nothing")
		}
		var last time.Time
		for range 1000 { // ten seconds of commits
			w.Wake()
			last = time.Now()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if n := e.count(); n < 9 || n > 12 {
			t.Errorf("%d jobs were made", n)
		}
		for i, j := range e.jobs {
			if j.Kind != protocol.JobDigest || j.Subject != Subject || j.Priority != protocol.PriorityIdle || j.After != gather {
				t.Errorf("job %d is %+v", i, j)
			}
		}
		if begins := e.at[len(e.at)-1].Add(gather); begins.Before(last) {
			t.Errorf("the last job begins at %s, the last commit was at %s", begins, last)
		}
		e.mu.Lock()
		e.fail = true
		e.mu.Unlock()
		w.Wake()
		time.Sleep(time.Minute)
		e.mu.Lock()
		e.fail = false
		e.mu.Unlock()
		n := e.count()
		w.Wake()
		time.Sleep(time.Minute)
		if e.count() != n+1 {
			t.Error("after a failure no job is made any more")
		}
		cancel()
		wg.Wait()
	})
}
