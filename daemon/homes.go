package daemon

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
)

// homeRecords is what homes needs of the metadata; meta.DB is the one.
type homeRecords interface {
	StoreHomes(ctx context.Context) (map[string]meta.NodeID, error)
	SaidStores(ctx context.Context) ([]meta.SaidStore, error)
}

// homes are the nodes that have stores, as they were read last: the home of a local
// one, which is moved only while no other node runs, and those that said they have
// one which several share, but not all while it is new.
type homes struct {
	records homeRecords
	last    atomic.Pointer[map[string][]meta.NodeID]
}

func (h *homes) read(ctx context.Context) error {
	at, err := h.records.StoreHomes(ctx)
	if err != nil {
		return err
	}
	said, err := h.records.SaidStores(ctx)
	if err != nil {
		return err
	}
	now := map[string][]meta.NodeID{}
	for name, node := range at {
		now[name] = []meta.NodeID{node}
	}
	for _, s := range said {
		if at[s.Name] == "" && s.Bucket != "" && s.Lives {
			now[s.Name] = append(now[s.Name], s.Node)
		}
	}
	h.last.Store(&now)
	return nil
}

// of are the nodes that have a store, none where none is known.
func (h *homes) of(store string) []meta.NodeID {
	last := h.last.Load()
	if last == nil {
		return nil
	}
	return (*last)[store]
}

// nodeOf is a node that has what is elsewhere, "" where none is known to: of several
// one that answers.
func (p *peering) nodeOf(ctx context.Context, to *holder.Elsewhere) (meta.NodeID, error) {
	if to.Node != "" {
		return to.Node, nil
	}
	if len(p.having(to)) == 0 { // it may be a new one
		if err := p.homes.read(ctx); err != nil {
			return "", fmt.Errorf("find out which node has a store: %w", err)
		}
	}
	nodes := p.having(to)
	if len(nodes) == 0 {
		return "", nil
	}
	if i := slices.IndexFunc(nodes, func(n meta.NodeID) bool { return !p.cluster.Down(n) }); i >= 0 {
		return nodes[i], nil
	}
	return nodes[0], nil
}

// having are the other nodes that are known to have what is elsewhere.
func (p *peering) having(to *holder.Elsewhere) (nodes []meta.NodeID) {
	if to.Node != "" {
		return []meta.NodeID{to.Node}
	}
	for _, n := range p.homes.of(to.Store) {
		if n != p.self {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// down reports whether the nodes that have what is elsewhere are known not to
// answer. It waits for nothing: who asks may hold a transaction open.
func (p *peering) down(to *holder.Elsewhere) bool {
	nodes := p.having(to)
	return len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n meta.NodeID) bool { return !p.cluster.Down(n) })
}

// leftToOthers reports whether what is to be deleted in a store that this node does not
// have is for another one: that on whose disk it is (one of which only the name tells is
// where its folder is), or one that has a store which this node does not have yet.
func (in *Installation) leftToOthers(ctx context.Context, name string) (bool, error) {
	node, err := in.othersDisk(ctx, name)
	if err != nil || node != "" || in.isOthers(name) {
		return err == nil, err
	}
	said, err := in.DB.SaidStores(ctx)
	return slices.ContainsFunc(said, func(s meta.SaidStore) bool {
		return s.Name == name && s.Bucket != "" && s.Lives && s.Node != in.Node
	}), err
}
