package sweep

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
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

	fail error
	kept time.Time
	lost error // of the time that was kept
}

func (i *idle) ClockKept(context.Context) (time.Time, error) { return i.kept, i.lost }
func (i *idle) KeepClock(_ context.Context, now time.Time) error {
	i.kept = now
	return nil
}

func (i *idle) RestartTimers(context.Context, int) (int, error) { return 0, i.fail }

func (i *idle) ExpireFiles(context.Context, time.Time, int) (int, error) {
	return 0, i.fail
}
func (i *idle) AbandonUploads(context.Context, time.Time, int) (int, error) { return 0, i.fail }
func (i *idle) DoomOffered(context.Context, int) (int, error)               { return 0, i.fail }
func (i *idle) NamedStores(context.Context) ([]string, error)               { return nil, i.fail }
func (i *idle) DoomOrphans(context.Context, int) (int, error)               { return 0, i.fail }
func (i *idle) DoomRequests(context.Context, int) (int, error)              { return 0, i.fail }
func (i *idle) Doomed(context.Context, string, time.Time, *meta.Blob, int) ([]meta.Blob, error) {
	return nil, i.fail
}

func (i *idle) Tombstones(context.Context, string, time.Time, *meta.Blob, int) ([]meta.Blob, error) {
	return nil, i.fail
}
func (i *idle) Prune(context.Context, time.Time, int) (int, error)                 { return 0, i.fail }
func (i *idle) PruneLinks(context.Context, time.Time, time.Time, int) (int, error) { return 0, i.fail }

func (i *idle) PruneWebhooks(context.Context, time.Time, time.Time, int) (int, error) {
	return 0, i.fail
}
func (i *idle) PruneNodes(context.Context) (int, error) { return 0, i.fail }
func (i *idle) NotifyWaiting(context.Context) error     { return i.fail }
func (i *idle) PruneEvents(context.Context, time.Time, time.Duration, int) (int, error) {
	return 0, i.fail
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

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

// TestHeld: nothing is removed while somebody says why not, unless the clock is
// vouched for.
func TestHeld(t *testing.T) {
	why := "the clock is off"
	for _, right := range []bool{false, true} {
		records := &idle{}
		l := New(Config{Meta: records, Logger: quiet(), ClockIsRight: right, Hold: func() string { return why }})
		for _, want := range []string{"the clock is off", ""} {
			if why = want; right {
				want = ""
			}
			if r, err := l.Round(t.Context()); err != nil || r.Held != want || l.Held() != want {
				t.Errorf("vouched for: %v: %+v, %v, want %q", right, r, err, want)
			}
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
