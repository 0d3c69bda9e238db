package job

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// counted are records in memory that count what they are asked.
type counted struct {
	word chan struct{}
	mu   sync.Mutex
	// Guarded by mu.
	calls, beats int
	waiting      []meta.LeasedJob
	ended        []meta.JobResult
	due          time.Time
}

func (c *counted) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
}

func (c *counted) JobHints() (<-chan struct{}, func()) { return c.word, func() {} }

func (c *counted) JobLines(context.Context, meta.JobHolder, []protocol.JobKind) (lines []meta.JobLine, err error) {
	c.count()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 {
		lines = append(lines, meta.JobLine{Kind: "k", DueIn: time.Until(c.due)})
	}
	return lines, nil
}

func (c *counted) LeaseJobs(context.Context, meta.JobHolder, meta.JobLine, time.Duration, int) ([]meta.LeasedJob, error) {
	c.count()
	c.mu.Lock()
	defer c.mu.Unlock()
	jobs := c.waiting
	c.waiting = nil
	return jobs, nil
}

func (c *counted) BeatJob(context.Context, meta.JobLease, time.Duration, *protocol.JobProgress, json.RawMessage) (bool, error) {
	c.count()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats++
	return false, nil
}

func (c *counted) EndJob(_ context.Context, _ meta.JobLease, o meta.JobOutcome) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, o.Result)
	return nil
}

func (c *counted) CancelledJobs(context.Context, string) ([]protocol.JobID, error) {
	c.count()
	return nil, nil
}
func (c *counted) SetPeriodic(context.Context, meta.NewJob, time.Duration) error { return nil }
func (c *counted) RestartJobs(context.Context, int) (int, error)                 { return 0, nil }
func (c *counted) AbandonLeases(context.Context, string) (int, error)            { return 0, nil }

// enqueue has a job wait, and gives word of it.
func (c *counted) enqueue(due time.Duration) {
	c.mu.Lock()
	c.waiting = append(c.waiting, meta.LeasedJob{Job: meta.Job{ID: 1, NewJob: meta.NewJob{Kind: "k", MaxAttempts: 1}, Attempts: 1}})
	c.due = time.Now().Add(due)
	c.mu.Unlock()
	c.word <- struct{}{}
}

// inBubble runs a queue in fake time. do is its handler's.
func inBubble(t *testing.T, do func(context.Context, *Run) error, test func(c *counted)) {
	synctest.Test(t, func(t *testing.T) {
		c := &counted{word: make(chan struct{}, 1)}
		q, err := New(Config{Meta: c, Handlers: []Handler{{Kind: "k", Do: do}, {Kind: "other", Do: do}}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			q.Run(ctx)
		}()
		synctest.Wait()
		test(c)
		cancel()
		<-done
	})
}

// TestIdle: a queue with nothing to do asks once every five seconds, and begins
// what it has word of at once.
func TestIdle(t *testing.T) {
	var begun chan time.Time // of the bubble
	do := func(context.Context, *Run) error { begun <- time.Now(); return nil }
	inBubble(t, do, func(c *counted) {
		begun = make(chan time.Time, 10)
		c.mu.Lock()
		c.calls = 0
		c.mu.Unlock()
		time.Sleep(time.Minute)
		c.mu.Lock()
		calls := c.calls
		c.mu.Unlock()
		if calls > 12 {
			t.Errorf("%d calls in an idle minute", calls)
		}
		for _, due := range []time.Duration{0, 1500 * time.Millisecond} {
			asked := time.Now()
			c.enqueue(due)
			if took := (<-begun).Sub(asked); took != due {
				t.Errorf("what is due in %s began after %s", due, took)
			}
		}
	})
}

// TestBeats: a job that runs for long is beaten for three times in each lease,
// and told of more often only where there is something to tell.
func TestBeats(t *testing.T) {
	do := func(_ context.Context, r *Run) error {
		time.Sleep(10 * time.Minute)
		for n := range int64(600) {
			r.Progress(protocol.JobProgress{Done: n})
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}
	inBubble(t, do, func(c *counted) {
		c.enqueue(0)
		time.Sleep(10*time.Minute - time.Second)
		c.mu.Lock()
		beats := c.beats
		c.mu.Unlock()
		if beats < 58 || beats > 62 {
			t.Errorf("%d beats in ten minutes of silence", beats)
		}
		time.Sleep(2 * time.Minute)
		c.mu.Lock()
		defer c.mu.Unlock()
		if told := c.beats - beats; told < 55 || told > 65 {
			t.Errorf("%d beats in a minute of progress", told)
		}
		if len(c.ended) != 1 || c.ended[0] != meta.ResultDone {
			t.Errorf("it ended as %v", c.ended)
		}
	})
}
