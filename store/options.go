package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// Options are what a Store may be given besides its backend.
type Options struct {
	// Observe is called after each operation with its name, its result and how
	// long it took, all tries and pauses together: for "get" until the first
	// byte can be read, for "list", "unfinished" and "browse" until the caller
	// stops. The other names are "put", "stat", "delete", "begin_compose",
	// "compose", "abandon_compose" and "describe". Many objects that are deleted
	// with one request are one "delete", which failed where one of them did. It
	// must be safe for concurrent use. Nil is allowed.
	Observe func(op string, err error, d time.Duration)
	// Retried is called before each try after the first, with the error of the
	// last one. Names are those of Observe, "read" for the rest of a body that
	// broke, "mark" and "check". It must be safe for concurrent use. Nil is
	// allowed.
	Retried func(op string, err error)

	// What follows is for object stores only: a disk's errors do not pass, and
	// its calls are not counted.

	// Attempts is how often an operation is tried at most; 0 means 4.
	Attempts int
	// MaxInFlight is how many calls run at once at most, of those that write,
	// of those that compose and of the others each; 0 means 256. More wait for
	// some seconds, and are a *BusyError then.
	MaxInFlight int
	// Sleep waits for d or the end of ctx, whose error it gives. Nil is the
	// clock's.
	Sleep func(ctx context.Context, d time.Duration) error
	// Rand gives a number from 0 to below n. Nil is math/rand's.
	Rand func(n int64) int64
}

func (o Options) withDefaults() Options {
	if o.Observe == nil {
		o.Observe = func(string, error, time.Duration) {}
	}
	if o.Retried == nil {
		o.Retried = func(string, error) {}
	}
	if o.Attempts == 0 {
		o.Attempts = 4
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 256
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Rand == nil {
		o.Rand = rand.Int64N
	}
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
