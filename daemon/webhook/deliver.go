package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// sendsAtOnce is how many messages are on their way to one webhook.
	sendsAtOnce = 4
	// page is how many deliveries are looked up at once.
	page = 100
	// notifyFor is how long one job sends; then others have their turn.
	notifyFor = time.Minute
	// firstRetry is how long a delivery that failed waits for its second time;
	// it is twice as long each time, up to retryMax.
	firstRetry = 5 * time.Second
	retryMax   = time.Hour
	// restAfter is after how many failures in a row nothing is sent for a while,
	// so that an endpoint that is away costs little.
	restAfter = 3
	restMax   = 15 * time.Minute
)

// FanOut hands events to the webhooks that want them. It is the step of a
// follower of events (package event).
func (s *Service) FanOut(ctx context.Context) (more bool, err error) {
	more, lost, err := s.cfg.Meta.FanOut(ctx)
	if lost > 0 {
		s.log.Error("events are lost to webhooks: they were pruned before their turn came", "events", lost)
	}
	return more, err
}

// Notify sends a webhook what is due, and has itself called again when more is.
// It is the handler of protocol.JobNotify, of which the queue runs one at a time
// for a webhook; ctx is held to its lease, so that what is noted after another
// took over is not.
func (s *Service) Notify(ctx context.Context, id protocol.WebhookID) error {
	for begun := time.Now(); time.Since(begun) < notifyFor; {
		w, due, err := s.cfg.Meta.DueDeliveries(ctx, id, page)
		if err != nil {
			return err
		}
		if len(due) == 0 {
			break
		}
		if err := s.sendAll(ctx, w, due, begun.Add(notifyFor)); err != nil {
			return err
		}
	}
	return s.cfg.Meta.NotifyLater(ctx, id)
}

// sendAll sends deliveries, some at a time, until the time is over or the
// webhook rests.
func (s *Service) sendAll(ctx context.Context, w meta.Webhook, due []meta.Delivery, until time.Time) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sendsAtOnce)
	var rests atomic.Bool
	for _, d := range due {
		if rests.Load() || ctx.Err() != nil || time.Now().After(until) {
			break
		}
		g.Go(func() error {
			if rests.Load() || ctx.Err() != nil {
				return ctx.Err()
			}
			rest, err := s.send(ctx, w, d)
			if rest {
				rests.Store(true)
			}
			return err
		})
	}
	return g.Wait()
}

// send sends one delivery and notes what became of it.
func (s *Service) send(ctx context.Context, w meta.Webhook, d meta.Delivery) (rests bool, err error) {
	m := Message{ID: fmt.Sprintf("msg_%s_%d", d.Webhook, d.Number), Secret: w.Secret, Body: d.Body}
	_, failed := s.cfg.Sender.Send(ctx, w.URL, m)
	if ctx.Err() != nil {
		return false, ctx.Err() // it was stopped, and is sent again
	}
	if failed == nil {
		s.cfg.Observe("delivered")
		return false, s.cfg.Meta.Delivered(ctx, d)
	}
	f := s.failure(d, failed)
	log := s.log.With("webhook", d.Webhook, "event", d.Number, "kind", d.Kind, "attempts", d.Attempts+1, "trace_id", m.trace().TraceID(), "err", failed)
	if f.Dead {
		s.cfg.Observe("dead")
		log.Error("an event was given up; `osp admin webhooks replay` has it sent again")
	} else {
		s.cfg.Observe("failed")
		log.Warn("an event could not be sent; it is tried again", "in", f.After.Round(time.Second))
	}
	return s.cfg.Meta.DeliveryFailed(ctx, d, f)
}

// failure is what follows from a delivery that did not arrive. Whoever asks to be
// left alone for a time is; who says that it is gone is believed at once.
func (s *Service) failure(d meta.Delivery, failed error) meta.DeliveryFailure {
	f := meta.DeliveryFailure{Error: failed.Error(), Dead: s.cfg.Clock().Sub(d.Since) >= s.cfg.GiveUpAfter, After: retryAfter(d.Attempts + 1), Rest: restOf}
	r, ok := errors.AsType[*refusal](failed)
	if !ok {
		return f
	}
	f.Dead = f.Dead || r.status == http.StatusGone
	f.After = max(f.After, r.after)
	f.Rest = func(failures int) time.Duration { return max(restOf(failures), r.after) }
	return f
}

// retryAfter is how long a delivery waits after so many attempts; up to a
// quarter less, so that those that failed together do not come together.
func retryAfter(attempts int) time.Duration {
	d := retryMax
	if shift := attempts - 1; shift < 10 {
		d = min(d, firstRetry<<shift)
	}
	return d - rand.N(d/4)
}

// restOf is how long nothing is sent after so many failures in a row.
func restOf(failures int) time.Duration {
	if failures < restAfter {
		return 0
	}
	d := restMax
	if shift := failures - restAfter; shift < 10 {
		d = min(d, firstRetry<<shift)
	}
	return d
}
