package local

import "sync"

// group lets callers that need the same sync share one: each call of do
// returns the result of a run that started after the call.
type group struct {
	run func() error

	mu      sync.Mutex
	running *round // the run in progress, or nil
	next    *round // the run that will begin when it ends, or nil
}

// round is one run and, once done is closed, its result.
type round struct {
	done chan struct{}
	err  error
}

// do waits for a whole run. The first caller of a round makes the run itself,
// so no goroutine is needed and nothing is left behind; a sync cannot be
// broken off, so neither can do.
func (g *group) do() error {
	g.mu.Lock()
	if r := g.next; r != nil {
		g.mu.Unlock()
		<-r.done
		return r.err
	}
	r := &round{done: make(chan struct{})}
	g.next = r
	before := g.running
	g.mu.Unlock()
	if before != nil {
		<-before.done
	}
	g.mu.Lock()
	g.next, g.running = nil, r
	g.mu.Unlock()
	r.err = g.run()
	g.mu.Lock()
	g.running = nil
	g.mu.Unlock()
	close(r.done)
	return r.err
}
