package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// firstPause bounds the pause before the second try; each further one may
	// be twice as long.
	firstPause = 100 * time.Millisecond
	// longestPause is how long a storage that is busy is waited for at most
	// between two tries, whatever it asks.
	longestPause = 10 * time.Second
	// spareTries is how many tries more than one an object store has in hand.
	spareTries = 500
	// earned is how many operations that were answered at once earn a spare
	// try.
	earned = 10
)

// MayPass reports whether trying again may help: err is none of those of this
// package, each of which is an answer. A context that has ended is the caller's
// to look at.
func MayPass(err error) bool {
	if err == nil {
		return false
	}
	for _, answer := range []error{
		ErrNotFound, ErrExists, ErrRange, ErrShort, ErrFull, ErrLost, ErrForeign, ErrUnmarked, ErrKey, ErrDamaged, ErrPieces, ErrNotBegun,
		ErrDenied, ErrNoBucket, ErrRegion, ErrClock, ErrUnsupported,
	} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return true
}

// patience tries the calls of one object store again. Nil tries everything
// once.
type patience struct {
	attempts int
	retried  func(op string, err error)
	sleep    func(ctx context.Context, d time.Duration) error
	random   func(n int64) int64
	// spare is what all operations together may still spend on tries after
	// their first, in parts of a try, so that a storage that is down is not
	// asked several times as much as one that works.
	spare atomic.Int64
}

func newPatience(o Options) *patience {
	p := &patience{attempts: o.Attempts, retried: o.Retried, sleep: o.Sleep, random: o.Rand}
	p.spare.Store(spareTries * earned)
	return p
}

// try calls f until it succeeds, gives an answer, or has failed often enough.
func (p *patience) try(ctx context.Context, op string, f func() error) error {
	if p == nil {
		return f()
	}
	for n := 1; ; n++ {
		err := f()
		if err == nil {
			p.answered(n)
			return nil
		}
		if err := p.again(ctx, op, n, err); err != nil {
			return err
		}
	}
}

// again pauses before try n+1 and gives nil, or gives the error that stands.
func (p *patience) again(ctx context.Context, op string, n int, err error) error {
	switch {
	case p == nil:
		return err
	case ctx.Err() != nil && MayPass(err) && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w, after: %w", ctx.Err(), err)
	case ctx.Err() != nil:
		return err
	case !MayPass(err):
		p.answered(n)
		return err
	case n >= p.attempts, errors.Is(err, errNoPlace):
		return err
	}
	d := p.pause(n, err)
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d || !p.spend() {
		return err
	}
	p.retried(op, err)
	if ended := p.sleep(ctx, d); ended != nil {
		return fmt.Errorf("%w, while waiting to try again after: %w", ended, err)
	}
	return nil
}

// pause is how long is waited after try n failed: at random, so that callers
// that failed together do not come again together.
func (p *patience) pause(n int, err error) time.Duration {
	most := min(firstPause<<min(n-1, 10), longestPause)
	d := time.Duration(p.random(int64(most)))
	var busy *BusyError
	if errors.As(err, &busy) {
		d += min(busy.After, longestPause)
	}
	return d
}

// spend takes a try from what is to spare, if there is one.
func (p *patience) spend() bool {
	if p.spare.Add(-earned) >= 0 {
		return true
	}
	p.spare.Add(earned)
	return false
}

// answered notes that try n was answered: a first one earns a little, a later
// one what it had cost.
func (p *patience) answered(n int) {
	if p == nil {
		return
	}
	gain := int64(1)
	if n > 1 {
		gain = earned
	}
	if p.spare.Add(gain) > spareTries*earned {
		p.spare.Add(-gain)
	}
}
