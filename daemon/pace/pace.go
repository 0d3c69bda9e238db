// Package pace has work that nobody waits for take its time: so many bytes a
// second at most, and less while somebody does wait for the daemon.
package pace

import (
	"context"
	"sync"
	"time"
)

const (
	// yieldMax is how long work stands aside at once while the daemon is busy,
	// and yieldStep how long until it looks again.
	yieldMax  = time.Second
	yieldStep = 20 * time.Millisecond
	// turn is how long it then goes on: a daemon that is always busy gets it
	// done all the same, at a tenth of the time.
	turn = 100 * time.Millisecond
	// owedMin is below which time nobody is made to wait: it is owed.
	owedMin = 2 * time.Millisecond
)

// Config says what a Pace is held to.
type Config struct {
	// Rate is how many bytes a second, 0 for as many as there are.
	Rate int64
	// Busy reports whether somebody waits for the daemon. Nil: nobody ever does.
	Busy func() bool
	// Now and Sleep are the system's when nil. Sleep returns early where ctx
	// ends, with its error.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Pace is shared by all whose work it holds back together. Its methods are safe
// for concurrent use.
type Pace struct {
	cfg Config

	mu sync.Mutex
	// free is when what was asked for so far has taken its time, until is how
	// long the turn lasts that somebody has. Guarded by mu.
	free, until time.Time
}

// New makes a Pace.
func New(cfg Config) *Pace {
	if cfg.Busy == nil {
		cfg.Busy = func() bool { return false }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	return &Pace{cfg: cfg}
}

// Wait returns when it is time for n more bytes, or with the error of ctx.
func (p *Pace) Wait(ctx context.Context, n int64) error {
	if err := p.yield(ctx); err != nil {
		return err
	}
	if d := p.owed(n); d > owedMin {
		return p.cfg.Sleep(ctx, d)
	}
	return ctx.Err()
}

// owed books n bytes, and gives how long those before them take still.
func (p *Pace) owed(n int64) time.Duration {
	if p.cfg.Rate <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.cfg.Now()
	if p.free.Before(now) {
		p.free = now // what was not used is not saved
	}
	d := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.cfg.Rate) * float64(time.Second)))
	return d
}

// yield stands aside while the daemon is busy, for a while.
func (p *Pace) yield(ctx context.Context) error {
	for waited := time.Duration(0); waited < yieldMax; waited += yieldStep {
		if p.inTurn() || !p.cfg.Busy() {
			return nil
		}
		if err := p.cfg.Sleep(ctx, yieldStep); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = p.cfg.Now().Add(turn)
	return nil
}

// inTurn reports whether somebody stood aside and has his turn now.
func (p *Pace) inTurn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cfg.Now().Before(p.until)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
