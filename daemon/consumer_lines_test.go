package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/osproxy/osproxy/daemon/event"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// countingLines writes how many lines a text file has to its meta, as "lines".
func countingLines(files *file.Service) event.Consumer {
	return event.Consumer{
		Name:  "count-lines",
		Kinds: []protocol.EventKind{protocol.EventFileCommitted},
		Handle: func(ctx context.Context, e meta.Event) error {
			if e.MediaType == nil || !strings.HasPrefix(*e.MediaType, "text/") {
				return nil
			}
			err := countLines(ctx, files, e.Owner, e.UID)
			if protocol.KindOf(err) == protocol.KindNotFound {
				return nil // it was deleted meanwhile
			}
			return err
		},
	}
}

func countLines(ctx context.Context, files *file.Service, owner protocol.Owner, uid protocol.UID) error {
	c, err := files.Open(ctx, owner, uid)
	if err != nil {
		return err
	}
	var lines lineCounter
	if err := errors.Join(c.WriteRange(ctx, &lines, 0, c.Size()), c.Close()); err != nil {
		return err
	}
	// Done twice it says the same, as it must: an event may come again.
	patch, err := file.ParsePatch(fmt.Appendf(nil, `{"meta": {"lines": "%d"}}`, lines))
	if err != nil {
		return err
	}
	_, err = files.Patch(ctx, owner, uid, patch)
	return err
}

type lineCounter int

func (n *lineCounter) Write(b []byte) (int, error) {
	*n += lineCounter(bytes.Count(b, []byte("\n")))
	return len(b), nil
}
