package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/osproxy/osproxy/protocol"
)

// tries counts the repeated requests of one item.
type tries struct{ n atomic.Int64 }

func (t *tries) count() int { return int(t.n.Load()) }

// retry runs op, holding one connection of the budget, until it succeeds,
// fails for good, or has been repeated often enough. In between it waits,
// longer each time and by chance, and at least as long as the daemon asked.
func (e *Engine) retry(ctx context.Context, t *tries, op func(context.Context) error) error {
	b := newBackOff()
	var failed time.Time // first
	for try := 0; ; try++ {
		err := e.slot(ctx, op)
		if err == nil || ctx.Err() != nil || !retryable(err) || try >= e.cfg.Retries {
			return err
		}
		if failed.IsZero() {
			failed = time.Now()
		}
		wait := b.NextBackOff()
		if own, ok := errors.AsType[*protocol.Error](err); ok {
			wait = max(wait, own.RetryAfter)
		}
		if time.Since(failed)+wait > e.cfg.RetryMaxElapsed {
			return err
		}
		if try > 0 {
			e.worry(err, e.cfg.Retries-try)
		}
		if e.pause(ctx, wait) != nil {
			return err
		}
		t.n.Add(1)
	}
}

// worryEvery is how often it is said that requests are repeated.
const worryEvery = 10 * time.Second

// worry says now and then why nothing seems to happen.
func (e *Engine) worry(err error, left int) {
	now := time.Now().UnixNano()
	last := e.worried.Load()
	if now-last < int64(worryEvery) || !e.worried.CompareAndSwap(last, now) {
		return
	}
	again := "it is tried once more"
	if left > 1 {
		again = fmt.Sprintf("it is tried again, up to %d times more", left)
	}
	e.cfg.Warn(fmt.Sprintf("%v; %s", err, again))
}

// slot runs op within the budget of connections.
func (e *Engine) slot(ctx context.Context, op func(context.Context) error) error {
	if err := e.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer e.slots.Release(1)
	return op(ctx)
}

func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 200 * time.Millisecond
	b.Multiplier = 2
	b.MaxInterval = 15 * time.Second
	return b
}

// retryable reports whether the same request may succeed when it is repeated.
// An error without a kind is not: nothing is known of it.
func retryable(err error) bool {
	own, ok := errors.AsType[*protocol.Error](err)
	return ok && own.Kind.Row().Retryable
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
