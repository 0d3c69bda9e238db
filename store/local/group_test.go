package local

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestGroupCoversItsCallers: what was there when a caller came is covered by
// the run it waited for, under any interleaving.
func TestGroupCoversItsCallers(t *testing.T) {
	var written, durable, inside atomic.Int64
	g := group{run: func() error {
		if inside.Add(1) != 1 {
			t.Error("two runs at once")
		}
		durable.Store(written.Load())
		inside.Add(-1)
		return nil
	}}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 500 {
				mine := written.Add(1)
				if err := g.do(); err != nil {
					t.Error(err)
				}
				if got := durable.Load(); got < mine {
					t.Errorf("write %d was acknowledged; %d are durable", mine, got)
				}
			}
		})
	}
	wg.Wait()
}

// TestGroupShares: all that come during one run share the next, and each run's
// error goes to its own callers alone.
func TestGroupShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		release := make(chan error)
		var runs int
		g := group{run: func() error {
			runs++
			return <-release
		}}
		results := make(chan error, 20)
		call := func() { results <- g.do() }
		go call()
		synctest.Wait()
		for range 10 {
			go call()
		}
		synctest.Wait()
		release <- broken
		if err := <-results; !errors.Is(err, broken) {
			t.Errorf("first run: %v", err)
		}
		synctest.Wait()
		release <- nil
		for range 10 {
			if err := <-results; err != nil {
				t.Errorf("second run: %v", err)
			}
		}
		if runs != 2 {
			t.Errorf("%d runs for 11 callers, want 2", runs)
		}
	})
}
