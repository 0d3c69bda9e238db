package daemon

import (
	"context"
	"log/slog"

	"github.com/osproxy/osproxy/daemon/event"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// tellingOfDamage names in the log each File that is not served any more, and
// each that is again: the reader that found the damage knows the content only.
func tellingOfDamage(log *slog.Logger) event.Consumer {
	return event.Consumer{
		Name:  "damage-log",
		Kinds: []protocol.EventKind{protocol.EventContentCorrupt, protocol.EventContentHealed},
		Handle: func(_ context.Context, e meta.Event) error {
			log := log.With("uid", e.UID, "owner", e.Owner)
			if e.Name != nil {
				log = log.With("name", *e.Name)
			}
			if e.Kind == protocol.EventContentHealed {
				log.Info("a file that was damaged is whole again")
				return nil
			}
			if e.Reason != nil && *e.Reason == protocol.ReasonMD5Differs {
				log.Error("a file has another MD5 than who put it said, and is not served; its bytes are kept. Delete it and put it again")
				return nil
			}
			log.Error("a file is damaged and not served any more; put the same bytes again")
			return nil
		},
	}
}
