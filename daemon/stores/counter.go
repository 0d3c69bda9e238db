package stores

import (
	"context"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// counter remembers how much lay in each store when it was counted last.
type counter struct {
	cfg Config

	mu sync.Mutex
	// counts are by the store's name. Guarded by mu.
	counts map[string]*count
}

// count is what was counted last in a store. Whoever wants to know holds turn,
// so that one counts and the others have it from him.
type count struct {
	turn chan struct{}
	// Guarded by turn.
	is   meta.StoreCount
	at   time.Time
	took time.Duration
}

func newCounter(cfg Config) *counter { return &counter{cfg: cfg, counts: map[string]*count{}} }

func (c *counter) get(name string) *count {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[name] == nil {
		c.counts[name] = &count{turn: make(chan struct{}, 1)}
	}
	return c.counts[name]
}

// of gives how much lies in a store, and when it was counted. A count that fails
// leaves it open, or what was counted before.
func (c *counter) of(ctx context.Context, name string) (is meta.StoreCount, at time.Time, known bool) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	n := c.get(name)
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return is, at, false
	}
	defer func() { <-n.turn }()
	if began := c.cfg.Now(); n.at.IsZero() || began.Sub(n.at) > countRest*n.took || began.Before(n.at) {
		is, err := c.cfg.Meta.CountStore(ctx, name)
		if err == nil {
			n.is, n.at = is, c.cfg.Now()
			n.took = n.at.Sub(began)
		} else if ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "what lies in a store cannot be counted", "store", name, "err", err)
		}
	}
	return n.is, n.at, !n.at.IsZero()
}
