// Package event has what happened told to whoever wants to know (DESIGN
// section 8). A Hub numbers the events that transactions made and hands them, in
// order, to consumers, each of which has a cursor of its own in the database: a
// crash loses none, and what was not settled comes again.
//
// A Consumer is one value: a name, what it wants to hear of, and a function.
// daemon/consumers.go lists all there are.
package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Records is what a Hub needs of the metadata; meta.DB is the one.
type Records interface {
	Emitted() <-chan struct{}
	NumberEvents(ctx context.Context) (n int64, more bool, err error)
	EventState(ctx context.Context) (waiting bool, last int64, err error)
	RegisterConsumer(ctx context.Context, name string) error
	TakeEvents(ctx context.Context, name, holder string, lease time.Duration, limit int) (meta.Batch, error)
	SettleEvents(ctx context.Context, name, holder string, to int64) error
	RetryEvents(ctx context.Context, name, holder string, to int64, pause time.Duration) error
	ParkEvent(ctx context.Context, name, holder string, e meta.Event, failure string) error
}

// Consumer is told of events, one after the other, in the order of their
// numbers and so in the order in which they happened to each File.
type Consumer struct {
	// Name is that of its cursor: another name is another consumer, which begins
	// with what happens from then on.
	Name string
	// Kinds are those it hears of, all where there are none.
	Kinds []protocol.EventKind
	// Handle does what follows from the event. It may be called again for an
	// event that it has handled, after a crash above all, so that doing it twice
	// must be as good as doing it once. While it fails, with an error or a panic,
	// the same event comes again after a pause, and the consumer's others wait;
	// after the eighth time it is parked (meta.DB.ParkEvent) and the others go
	// on. It has a minute.
	Handle func(ctx context.Context, e meta.Event) error
}

// Follower is a consumer that keeps its own cursor: Step handles some events,
// and reports whether there may be more.
type Follower struct {
	Name string
	Step func(ctx context.Context) (more bool, err error)
}

// Config is what a Hub needs.
type Config struct {
	Meta      Records
	Consumers []Consumer
	Followers []Follower
	// Node names this process among those that share the database.
	Node string
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

const (
	// gather is how long after the first event others are waited for, to be
	// numbered with it.
	gather = 10 * time.Millisecond
	// lookEvery is how often the database is asked for events that nobody gave
	// word of: other processes', and those of a commit whose answer was lost.
	lookEvery = 5 * time.Second
	// registerEvery is how often consumers say that they live.
	registerEvery = time.Hour
	// failedPause is how long the Hub waits where the database failed.
	failedPause = time.Second
)

// Hub numbers events and runs consumers. Make it with New.
type Hub struct {
	cfg     Config
	log     *slog.Logger
	runners []*runner
}

// runner has one consumer or follower called while there are events.
type runner struct {
	name string
	wake chan struct{}
	step func(ctx context.Context) (wait time.Duration, err error)
}

// New makes a Hub. Two consumers of one name are a mistake in the program, and
// a panic.
func New(cfg Config) *Hub {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &Hub{cfg: cfg, log: cfg.Logger}
	for _, c := range cfg.Consumers {
		h.add(c.Name, (&reader{Hub: h, Consumer: c}).step)
	}
	for _, f := range cfg.Followers {
		h.add(f.Name, func(ctx context.Context) (time.Duration, error) {
			for more := true; more; {
				var err error
				if more, err = f.Step(ctx); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
	}
	return h
}

func (h *Hub) add(name string, step func(ctx context.Context) (time.Duration, error)) {
	for _, r := range h.runners {
		if r.name == name {
			panic("two consumers of events are called " + name)
		}
	}
	h.runners = append(h.runners, &runner{name: name, wake: make(chan struct{}, 1), step: step})
}

// Run numbers events and has consumers called until ctx ends. It returns when
// all of them have.
func (h *Hub) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, r := range h.runners {
		wg.Go(func() { h.follow(ctx, r) })
	}
	h.sequence(ctx)
}

// sequence numbers events when there is word of some, and every so often.
func (h *Hub) sequence(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var told int64 // the number of which the runners know
	for {
		last, err := h.number(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			h.log.Error("events could not be numbered; it is tried again", "err", err)
			sleep(ctx, failedPause)
			continue
		case last != told:
			told = last
			for _, r := range h.runners {
				raise(r.wake)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-h.cfg.Meta.Emitted():
			sleep(ctx, gather)
		case <-look.C:
		}
	}
}

// number gives what waits its numbers, and returns the last there is.
func (h *Hub) number(ctx context.Context) (last int64, err error) {
	waiting, last, err := h.cfg.Meta.EventState(ctx)
	for err == nil && waiting {
		var n int64
		n, waiting, err = h.cfg.Meta.NumberEvents(ctx)
		last += n
	}
	return last, err
}

// follow calls a runner's step when it is woken, and again after the time that
// it says.
func (h *Hub) follow(ctx context.Context, r *runner) {
	register := time.NewTicker(registerEvery)
	defer register.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for registered := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-register.C:
			registered = false
		case <-again.C:
		case <-r.wake:
		}
		var wait time.Duration
		var err error
		if !registered {
			err = h.cfg.Meta.RegisterConsumer(ctx, r.name)
			registered = err == nil
		}
		if err == nil {
			wait, err = r.step(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.log.Error("a consumer of events could not go on; it is tried again", "consumer", r.name, "err", err)
			wait = failedPause
		}
		if wait > 0 {
			again.Reset(wait)
		}
	}
}

// raise leaves word in a channel of one place, once however often.
func raise(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// ErrNoConsumer: no consumer is called so in this program.
var ErrNoConsumer = errors.New("no consumer of events has this name")

// Redo handles an event that was parked, once more.
func (h *Hub) Redo(ctx context.Context, consumer string, e meta.Event) error {
	for _, c := range h.cfg.Consumers {
		if c.Name == consumer {
			return call(ctx, c, e)
		}
	}
	return fmt.Errorf("%w: %s", ErrNoConsumer, consumer)
}
