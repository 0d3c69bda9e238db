package transfer

import (
	"context"
	"sync"
)

// Order lets gets run at once and still end as if they had run one after the
// other: of those that turn out to have one target each waits for the one
// before. The zero value is ready.
type Order struct {
	mu   sync.Mutex
	last *Place // the one taken last
	// owners has, by target, what the latest place there closes when it is done.
	owners map[string]chan struct{}
}

// Place is one get's in an Order.
type Place struct {
	order *Order
	// before is the place taken before this one: nil for the first, and once
	// all before it have a target or need none.
	before *Place
	// chosen is closed when the get has its target, or has ended without one,
	// and target and before change no more.
	chosen, done chan struct{}
	once         sync.Once // closes chosen
	target       string
}

// Next is the place behind all that were taken so far. Gets must begin in the
// order of their places, and each place must be given to one.
func (o *Order) Next() *Place {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := &Place{order: o, before: o.last, chosen: make(chan struct{}), done: make(chan struct{})}
	o.last = p
	return p
}

// wait returns once no earlier place has the target any more.
func (p *Place) wait(ctx context.Context, target string) error {
	if p == nil {
		return nil
	}
	for b := p.before; b != nil; b = b.before {
		if err := until(ctx, b.chosen); err != nil {
			return err
		}
		if b.target != "" {
			break // it has waited for those before it
		}
	}
	p.before = nil
	o := p.order
	o.mu.Lock()
	if o.owners == nil {
		o.owners = map[string]chan struct{}{}
	}
	before := o.owners[target]
	o.owners[target], p.target = p.done, target
	o.mu.Unlock()
	p.once.Do(func() { close(p.chosen) })
	return until(ctx, before)
}

// leave gives the target to the next one.
func (p *Place) leave() {
	if p == nil {
		return
	}
	o := p.order
	o.mu.Lock()
	if o.owners[p.target] == p.done {
		delete(o.owners, p.target)
	}
	o.mu.Unlock()
	p.once.Do(func() { close(p.chosen) })
	close(p.done)
}

// until waits for c to be closed; a nil one is.
func until(ctx context.Context, c <-chan struct{}) error {
	if c == nil {
		return nil
	}
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
