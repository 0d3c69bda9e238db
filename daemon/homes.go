package daemon

import (
	"context"
	"sync/atomic"

	"github.com/osproxy/osproxy/daemon/meta"
)

// homeRecords is what homes needs of the metadata; meta.DB is the one.
type homeRecords interface {
	StoreHomes(ctx context.Context) (map[string]meta.NodeID, error)
}

// homes are the nodes that are the homes of stores, as they were read last. A home is
// moved only while no other node runs.
type homes struct {
	records homeRecords
	last    atomic.Pointer[map[string]meta.NodeID]
}

func (h *homes) read(ctx context.Context) error {
	now, err := h.records.StoreHomes(ctx)
	if err == nil {
		h.last.Store(&now)
	}
	return err
}

// of is the home of a store, "" where none is known.
func (h *homes) of(store string) meta.NodeID {
	last := h.last.Load()
	if last == nil {
		return ""
	}
	return (*last)[store]
}
