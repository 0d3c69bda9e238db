package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestEachRunsSoManyAtOnce(t *testing.T) {
	const atOnce = 4
	var running atomic.Int64
	var all sync.WaitGroup
	all.Add(atOnce) // None ends before all four have begun.
	done := make([]bool, 10)
	err := each(t.Context(), len(done), atOnce, func(_ context.Context, i int) error {
		if now := running.Add(1); now > atOnce {
			t.Errorf("%d at once", now)
		}
		defer running.Add(-1)
		if i < atOnce {
			all.Done()
			all.Wait()
		}
		done[i] = true
		return nil
	})
	for i, ok := range done {
		if !ok {
			t.Errorf("%d was left out", i)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestEachEndsWithTheFirstError(t *testing.T) {
	bad := errors.New("bad")
	var begun atomic.Int64
	err := each(t.Context(), 100, 1, func(_ context.Context, i int) error {
		begun.Add(1)
		if i == 3 {
			return bad
		}
		return nil
	})
	if !errors.Is(err, bad) || begun.Load() > 5 {
		t.Errorf("%v after %d", err, begun.Load())
	}
}
