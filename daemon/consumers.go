package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/event"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/webhook"
)

// EventsConfig is how events are kept.
type EventsConfig struct {
	// Retention is how long an event stays after it happened. What a consumer
	// has not come to stays for four times as long.
	Retention time.Duration `koanf:"retention"`
}

// listeners is what consumers of events need.
type listeners struct {
	log *slog.Logger
}

// consumers are all that hear of events in this process. CONTRIBUTING.md shows
// how to add one: a file with its function, and a line here.
func consumers(l listeners) []event.Consumer {
	return []event.Consumer{
		tellingOfDamage(l.log),
	}
}

// followers are the consumers that keep their own cursor.
func followers(hooks *webhook.Service) []event.Follower {
	return []event.Follower{
		{Name: meta.FanOutConsumer, Step: hooks.FanOut},
	}
}

// redo has a consumer handle an event that it failed at. One that is not there
// any more will not be there later.
func redo(ctx context.Context, hub *event.Hub, parked meta.ParkedEvent) error {
	err := hub.Redo(ctx, parked.Consumer, meta.EventOf(parked.Event))
	if errors.Is(err, event.ErrNoConsumer) {
		return job.Hopeless(err)
	}
	return err
}
