package main

import (
	"context"
	"sync"
)

// each does do(0) to do(n-1), so many at once. After an error it ends the
// others by their context, begins no more, and returns that error.
func each(ctx context.Context, n, atOnce int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := 0; i < n && ctx.Err() == nil; i++ {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
