package stores

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/store"
)

// readyFor is how long it is taken for true how a store was: whoever looks every
// moment does not have the storage asked as often.
const readyFor = 5 * time.Second

// readiness is how a store was when it was asked last. Whoever wants to know
// holds turn, so that one asks and the others have it from him.
type readiness struct {
	turn chan struct{}
	// Guarded by turn: what is wrong, "" for nothing.
	wrong string
	at    time.Time
}

// Unready says of each store that cannot be used what is wrong with it and what
// to do, by name. Where the storage is, or what it said, is for the log alone.
// It waits for no store longer than a few seconds.
func (s *Service) Unready(ctx context.Context) []string {
	names := slices.Sorted(maps.Keys(s.cfg.Stores))
	wrong := make([]string, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { wrong[i] = s.ready(ctx, name) })
	}
	wg.Wait()
	return slices.DeleteFunc(wrong, func(w string) bool { return w == "" })
}

func (s *Service) ready(ctx context.Context, name string) string {
	r := s.readies[name]
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return "store " + name + " was not asked in time"
	}
	defer func() { <-r.turn }()
	now := s.cfg.Now()
	if age := now.Sub(r.at); !r.at.IsZero() && age >= 0 && age < readyFor {
		return r.wrong
	}
	// What it answers is for others, too: it does not end with who asked.
	err := Reach(context.WithoutCancel(ctx), s.cfg.Stores[name], s.cfg.Installation)
	r.wrong, r.at = "", s.cfg.Now()
	if err != nil {
		s.cfg.Logger.ErrorContext(ctx, "a store is not usable", "store", name, "err", err)
		r.wrong = "store " + name + " is not usable: " + advice(err)
	}
	return r.wrong
}

// advice is what an operator is to do about a store's error.
func advice(err error) string {
	for _, a := range []struct {
		is   error
		says string
	}{
		{store.ErrDenied, "access is denied; check the keys in its configuration, and what they allow"},
		{store.ErrNoBucket, "there is no such bucket; check its bucket and its endpoint"},
		{store.ErrRegion, "the bucket is in another region; check its region and its endpoint"},
		{store.ErrClock, "the clocks of this machine and of the storage differ too much; set this machine's"},
		{store.ErrUnsupported, "the storage does not do what is needed; the log says what"},
		{store.ErrForeign, "it bears the mark of another installation, store or node; check its path, or its bucket and prefix"},
		{store.ErrUnmarked, "it has lost its mark; check that the disk is mounted, or its bucket and prefix are the right ones"},
		{context.DeadlineExceeded, "it does not answer; check that the storage runs, its endpoint, and the network"},
	} {
		if errors.Is(err, a.is) {
			return a.says
		}
	}
	return "it cannot be reached, or fails; the log says why"
}
