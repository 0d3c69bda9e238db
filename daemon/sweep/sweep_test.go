package sweep

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clocks are the wall's and the one that is never set.
type clocks struct {
	wall time.Time
	up   time.Duration
}

func (c *clocks) watch() *watch {
	return newWatch(func() time.Time { return c.wall }, func() time.Duration { return c.up })
}

func (c *clocks) pass(d time.Duration) { c.wall, c.up = c.wall.Add(d), c.up+d }

func TestWatch(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		step time.Duration
		held bool
	}{
		{0, false},
		{time.Hour, false},
		{-time.Hour, false},
		{time.Hour + time.Millisecond, true},
		{-time.Hour - time.Millisecond, true},
		{10 * year, true},
		{-10 * year, true},
		{250 * year, true},
	} {
		c := &clocks{wall: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
		w := c.watch()
		c.pass(48 * time.Hour) // time that passes is no step
		if _, held := w.look(); held != "" {
			t.Fatalf("held without a step: %s", held)
		}
		c.wall = c.wall.Add(tt.step)
		for _, after := range []time.Duration{0, time.Hour - time.Second} {
			c.pass(after)
			if now, held := w.look(); (held != "") != tt.held || !now.Equal(c.wall) {
				t.Errorf("%s after a step of %s: held %q, now %s", after, tt.step, held, now)
			}
		}
		c.pass(time.Second)
		if _, held := w.look(); held != "" {
			t.Errorf("an hour after a step of %s: held %q", tt.step, held)
		}
	}
}

// TestWatchStepsAgain: a second step begins the hour anew.
func TestWatchStepsAgain(t *testing.T) {
	c := &clocks{wall: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	w := c.watch()
	c.wall = c.wall.Add(2 * time.Hour)
	w.look()
	c.pass(50 * time.Minute)
	c.wall = c.wall.Add(-2 * time.Hour)
	if _, held := w.look(); !strings.HasPrefix(held, "clock stepped by -2h0m0s") {
		t.Errorf("held %q", held)
	}
	c.pass(50 * time.Minute)
	if _, held := w.look(); held == "" {
		t.Error("not held 50 minutes after the second step")
	}
	c.pass(10 * time.Minute)
	if _, held := w.look(); held != "" {
		t.Errorf("held %q", held)
	}
}

// TestWatchBySystemClocks: time.Now alone, with both of its readings.
func TestWatchBySystemClocks(t *testing.T) {
	w := newWatch(nil, nil)
	if now, held := w.look(); held != "" || time.Since(now).Abs() > time.Minute {
		t.Errorf("now %s, held %q", now, held)
	}
}

// idle are records in which nothing is to be done, but what a test says.
type idle struct {
	Records // nil: a verb that no test expects ends it

	mu     sync.Mutex
	fail   error
	rounds chan struct{}
	jobs   []meta.Job
	ended  map[protocol.JobID]string
	kept   time.Time
	lost   error // of the time that was kept
}

func (i *idle) ClockKept(context.Context) (time.Time, error) { return i.kept, i.lost }
func (i *idle) KeepClock(_ context.Context, now time.Time) error {
	i.kept = now
	return nil
}

func (i *idle) RestartTimers(context.Context, int) (int, error) {
	if i.rounds != nil {
		i.rounds <- struct{}{}
	}
	return 0, nil
}

func (i *idle) ExpireFiles(context.Context, time.Time, int) (int, error) {
	return 0, i.fail
}
func (i *idle) AbandonUploads(context.Context, time.Time, int) (int, error) { return 0, i.fail }
func (i *idle) DoomOffered(context.Context, int) (int, error)               { return 0, i.fail }
func (i *idle) DoomOrphans(context.Context, int) (int, error)               { return 0, i.fail }
func (i *idle) Doomed(context.Context, time.Time, *meta.Blob, int) ([]meta.Blob, error) {
	return nil, i.fail
}

func (i *idle) Tombstones(context.Context, time.Time, *meta.Blob, int) ([]meta.Blob, error) {
	return nil, i.fail
}
func (i *idle) Prune(context.Context, time.Time, int) (int, error) { return 0, i.fail }

func (i *idle) DueJobs(_ context.Context, _ protocol.JobKind, limit int) ([]meta.Job, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := min(limit, len(i.jobs))
	return i.jobs[:n], nil
}

func (i *idle) FinishJob(_ context.Context, id protocol.JobID, failure string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended[id] = failure
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestLoop: a round at once, one when woken, and an end that is waited for.
func TestLoop(t *testing.T) {
	records := &idle{rounds: make(chan struct{})}
	l := New(Config{Meta: records, Interval: time.Hour, Logger: quiet()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	<-records.rounds
	for range 3 {
		l.Wake()
		l.Wake() // twice is once
		<-records.rounds
	}
	cancel()
	go func() {
		for range records.rounds { // a round that had begun
		}
	}()
	<-done
	close(records.rounds)
}

func TestLoopGoesOnByItself(t *testing.T) {
	records := &idle{rounds: make(chan struct{}), fail: errors.New("broken")}
	l := New(Config{Meta: records, Interval: time.Millisecond, Logger: quiet()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	for range 5 {
		<-records.rounds
	}
	cancel()
	go func() {
		for range records.rounds { // a round that had begun
		}
	}()
	<-done
	close(records.rounds)
}

// TestRoundsGoOnBesideAScrub: however long a content is read, things are freed;
// and the end waits for who reads.
func TestRoundsGoOnBesideAScrub(t *testing.T) {
	records := &idle{rounds: make(chan struct{}), jobs: []meta.Job{scrubOf(1, `{"content":100}`)}, ended: map[protocol.JobID]string{}}
	reading, read := make(chan struct{}), false
	l := New(Config{Meta: records, Interval: time.Millisecond, Logger: quiet(), Scrub: func(ctx context.Context, _ meta.ContentID) error {
		close(reading) // twice is a panic: nobody reads beside it
		<-ctx.Done()
		read = true
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx)
	}()
	<-records.rounds
	<-reading
	for range 5 {
		<-records.rounds
	}
	cancel()
	go func() {
		for range records.rounds { // a round that had begun
		}
	}()
	<-done
	close(records.rounds)
	if !read || len(records.ended) != 0 {
		t.Errorf("the scrub was waited for: %t; jobs ended: %v", read, records.ended)
	}
}

// TestRoundTellsOfAllThatFailed: one step's failure keeps no other from being
// done.
func TestRoundTellsOfAllThatFailed(t *testing.T) {
	_, err := New(Config{Meta: &idle{fail: errors.New("broken")}, Logger: quiet()}).Round(t.Context())
	for _, step := range []string{"expire files", "abandon uploads", "doom blobs", "delete objects", "remove tombstones", "prune"} {
		if err == nil || !strings.Contains(err.Error(), step+": broken") {
			t.Errorf("%v does not tell of %s", err, step)
		}
	}
}

// TestClockAtTheStart: one that is wrong since before the start is not believed
// for an hour, nor kept as one that was.
func TestClockAtTheStart(t *testing.T) {
	const year = 365 * 24 * time.Hour
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		kept  time.Time
		right bool
		held  bool
	}{
		{kept: time.Time{}},
		{kept: start},
		{kept: start.Add(-time.Hour)},
		{kept: start.Add(time.Hour)},
		{kept: start.Add(-time.Hour - time.Millisecond), held: true},
		{kept: start.Add(time.Hour + time.Millisecond), held: true},
		{kept: start.Add(-year), held: true},
		{kept: start.Add(-year), right: true},
		{kept: start.AddDate(-400, 0, 0), held: true},
	} {
		c, records := &clocks{wall: start}, &idle{kept: tt.kept}
		l := New(Config{
			Meta: records, Logger: quiet(), ClockIsRight: tt.right,
			Clock: func() time.Time { return c.wall }, Uptime: func() time.Duration { return c.up },
		})
		for _, after := range []time.Duration{0, time.Hour - time.Second} {
			c.pass(after)
			r, err := l.Round(t.Context())
			if err != nil || (r.Held != "") != tt.held || r.Held != l.Held() {
				t.Errorf("kept %s: %s after the start: %+v, %v; held %q", tt.kept, after, r, err, l.Held())
			}
			if believed := records.kept.Equal(c.wall); believed == tt.held {
				t.Errorf("kept %s: %s after the start it is %s", tt.kept, after, records.kept)
			}
		}
		c.pass(time.Second)
		if r, err := l.Round(t.Context()); err != nil || r.Held != "" || !records.kept.Equal(c.wall) {
			t.Errorf("kept %s: an hour after the start: %+v, %v; kept %s", tt.kept, r, err, records.kept)
		}
	}
}

// TestClockThatCannotBeJudged: nothing is removed by it.
func TestClockThatCannotBeJudged(t *testing.T) {
	records := &idle{lost: errors.New("broken"), fail: errors.New("called")}
	l := New(Config{Meta: records, Logger: quiet()})
	if _, err := l.Round(t.Context()); !errors.Is(err, records.lost) || errors.Is(err, records.fail) || !records.kept.IsZero() {
		t.Errorf("%v, kept %s", err, records.kept)
	}
}

// TestScrubs: a few in a round; damage is what a scrub is for, a failure has it
// tried again.
func TestScrubs(t *testing.T) {
	records := &idle{ended: map[protocol.JobID]string{}}
	for id, args := range []string{`{"content":100}`, `{"content":101}`, `{"content":102}`, "nonsense", `{"content":104}`} {
		records.jobs = append(records.jobs, scrubOf(protocol.JobID(id+1), args))
	}
	l := New(Config{Meta: records, Logger: quiet(), Scrub: func(_ context.Context, id meta.ContentID) error {
		switch id {
		case 101:
			return protocol.Errorf(protocol.KindContentCorrupt, "damaged")
		case 102:
			return errors.New("store is away")
		}
		return nil
	}})
	r, err := l.Round(t.Context())
	if err != nil || r.Scrubbed != 2 || r.Damaged != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if e := records.ended; len(e) != scrubsARound || e[1] != "" || e[2] != "" || e[3] != "store is away" || !strings.Contains(e[4], "nonsense") {
		t.Errorf("jobs ended as %v", e)
	}
}

func scrubOf(id protocol.JobID, args string) meta.Job {
	return meta.Job{ID: id, NewJob: meta.NewJob{Args: []byte(args)}}
}
