package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// clock is a time that passes only by sleeping, and what it was slept for.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
	// busy is for how long from the beginning somebody waits for the daemon.
	busy time.Duration
	from time.Time
}

func newClock() *clock {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return &clock{now: at, from: at}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.slept = c.now.Add(d), c.slept+d
	return ctx.Err()
}

// work is time that passes otherwise.
func (c *clock) work(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) Busy() bool { return c.Now().Sub(c.from) < c.busy }

func (c *clock) pace(rate int64) *Pace {
	return New(Config{Rate: rate, Busy: c.Busy, Now: c.Now, Sleep: c.Sleep})
}

func wait(t *testing.T, p *Pace, n int64) {
	t.Helper()
	if err := p.Wait(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// Whatever the pieces, the bytes take as long as the rate says, and work that
// is slower by itself is not held back.
func TestRate(t *testing.T) {
	const rate = 1 << 20
	for _, piece := range []int64{100, 4 << 10, 1 << 20, 10 << 20} {
		c := newClock()
		p := c.pace(rate)
		for n := int64(0); n < 100<<20; n += piece {
			wait(t, p, piece)
		}
		wait(t, p, 0)
		if got, want := c.Now().Sub(c.from), 100*time.Second; got < want-owedMin || got > want+time.Duration(float64(piece)/rate*float64(time.Second)) {
			t.Errorf("100 MiB in pieces of %d bytes took %s", piece, got)
		}
	}
	c := newClock()
	p := c.pace(rate)
	for range 100 {
		wait(t, p, rate)
		c.work(1100 * time.Millisecond)
	}
	if c.slept != 0 {
		t.Errorf("slow work was held back for %s", c.slept)
	}
	wait(t, p, rate)
	c.work(time.Hour)
	wait(t, p, rate)
	wait(t, p, 0)
	if c.slept < time.Second-owedMin {
		t.Errorf("what was not used in an hour was saved: %s", c.slept)
	}
}

func TestRateOfNone(t *testing.T) {
	c := newClock()
	p := c.pace(0)
	for range 1000 {
		wait(t, p, 1<<30)
	}
	if c.slept != 0 {
		t.Errorf("it slept for %s", c.slept)
	}
}

// Two who share a pace have together what one has.
func TestShared(t *testing.T) {
	c := newClock()
	p := c.pace(1 << 20)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 50 {
				_ = p.Wait(t.Context(), 1<<20)
			}
		})
	}
	wg.Wait()
	if d := p.owed(0) + c.Now().Sub(c.from); d < 100*time.Second-time.Millisecond {
		t.Errorf("100 MiB took %s", d)
	}
}

func TestYields(t *testing.T) {
	c := newClock()
	c.busy = 300 * time.Millisecond
	p := c.pace(0)
	wait(t, p, 1)
	if c.slept != 300*time.Millisecond {
		t.Errorf("it stood aside for %s of a busy %s", c.slept, c.busy)
	}
	wait(t, p, 1)
	if c.slept != 300*time.Millisecond {
		t.Errorf("it stood aside while nobody waited: %s", c.slept)
	}
}

// Where the daemon is always busy a tenth of the time is worked.
func TestYieldsNotForEver(t *testing.T) {
	c := newClock()
	c.busy = 100 * time.Hour
	p := c.pace(0)
	worked := time.Duration(0)
	for range 10_000 {
		wait(t, p, 1)
		c.work(10 * time.Millisecond)
		worked += 10 * time.Millisecond
	}
	if share := float64(worked) / float64(worked+c.slept); share < 0.05 || share > 0.15 {
		t.Errorf("worked %s and stood aside for %s", worked, c.slept)
	}
}

func TestWaitEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, p := range map[string]*Pace{
		"slow": New(Config{Rate: 1}), "busy": New(Config{Busy: func() bool { return true }}), "free": New(Config{}),
	} {
		_ = p.owed(1 << 30)
		if err := p.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: it ended with %v", name, err)
		}
	}
	p := New(Config{Rate: 1000})
	for range 2 {
		wait(t, p, 3)
	}
}
