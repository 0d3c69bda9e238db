package event

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// batch is how many events are taken at once.
	batch = 100
	// handleTimeout is how long one event may take.
	handleTimeout = time.Minute
	// lease is how long taken events are one process's. No event is begun
	// after half of it.
	lease = 3 * time.Minute
	// triesMax is how often an event is tried before it is parked, with pauses
	// that double from firstPause on: some two minutes.
	triesMax   = 8
	firstPause = time.Second
	// settleTimeout is how long a process that stops notes what it did.
	settleTimeout = 5 * time.Second
)

// reader hands events to a Consumer.
type reader struct {
	*Hub
	Consumer
}

// step handles all events there are. wait is after which time there may be more
// of them for it, 0 when it is to be woken.
func (r *reader) step(ctx context.Context) (wait time.Duration, err error) {
	for {
		begun := time.Now()
		b, err := r.cfg.Meta.TakeEvents(ctx, r.Name, r.cfg.Node, lease, batch)
		if err != nil || len(b.Events) == 0 {
			return b.Wait, err
		}
		if b.Lost > 0 {
			r.log.Error("events are lost to a consumer: they were pruned before it came to them", "consumer", r.Name, "events", b.Lost)
		}
		if err := r.handle(ctx, b, begun); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// handle handles a batch as far as it comes, and settles it.
func (r *reader) handle(ctx context.Context, b meta.Batch, begun time.Time) error {
	to := b.Events[0].Number - 1
	var failed error
	var event meta.Event
	for i, e := range b.Events {
		if i > 0 && time.Since(begun) > lease/2 || ctx.Err() != nil {
			break
		}
		if event, failed = e, call(ctx, r.Consumer, e); failed != nil {
			break
		}
		to = e.Number
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if failed == nil || ctx.Err() != nil {
		// What a stop cut short did not fail, and what failed before has not
		// succeeded.
		if to < b.Events[0].Number && b.Tries > 0 {
			return nil
		}
		return r.cfg.Meta.SettleEvents(settle, r.Name, r.cfg.Node, to)
	}
	tries := 1
	if to == b.Events[0].Number-1 {
		tries += b.Tries
	}
	log := r.log.With(slog.String("consumer", r.Name), slog.Int64("event", event.Number), slog.Any("kind", event.Kind),
		slog.String("uid", event.UID.String()), slog.Int("tries", tries), slog.Any("err", failed))
	if tries >= triesMax {
		log.Error("an event is parked: its consumer failed too often; the others go on")
		return r.cfg.Meta.ParkEvent(settle, r.Name, r.cfg.Node, event, failed.Error())
	}
	log.Warn("a consumer failed; the event comes again")
	return r.cfg.Meta.RetryEvents(settle, r.Name, r.cfg.Node, to, pauseAfter(tries))
}

// pauseAfter is how long to wait after so many tries: twice as long each time,
// and up to a quarter more.
func pauseAfter(tries int) time.Duration {
	p := firstPause << (tries - 1)
	return p + rand.N(p/4)
}

// call has the consumer handle the event, if it wants it. A panic is an error.
func call(ctx context.Context, c Consumer, e meta.Event) (err error) {
	if len(c.Kinds) > 0 && !slices.Contains(c.Kinds, e.Kind) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, handleTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Handle(ctx, e)
}
