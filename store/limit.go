package store

import (
	"context"
	"errors"
	"time"
)

// placePatience bounds the wait for a place. Uploads from slow clients may hold
// all of them for long; who comes then is told so, and can come again.
const placePatience = 10 * time.Second

// errNoPlace is not tried again here: that was the wait.
var errNoPlace = errors.New("as many calls of this store run as may, and none ended in time")

// limit bounds how many calls of an object store run at once. Nil bounds
// nothing. A call holds its place only while it runs: the body of a Get holds
// none, so that readers, who may be slow, never keep each other, or a Put that
// reads from them, from going on.
type limit chan struct{}

// hold runs f when there is a place for it. Where there is none for too long it
// is a *BusyError.
func (l limit) hold(ctx context.Context, f func() error) error {
	if l == nil {
		return f()
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	defer func() { <-l }()
	return f()
}

func (l limit) take(ctx context.Context) error {
	timer := time.NewTimer(placePatience)
	defer timer.Stop()
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &BusyError{After: placePatience, Err: errNoPlace}
	}
}
