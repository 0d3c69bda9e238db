package daemon

import (
	"context"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/stores"
	"github.com/osproxy/osproxy/protocol"
)

// nodeList tells of the nodes that work on the database.
type nodeList struct {
	db     *meta.DB
	stores *stores.Service
}

// List describes every node, by id.
func (l nodeList) List(ctx context.Context) (list protocol.NodeList, err error) {
	all, err := l.db.Nodes(ctx)
	if err != nil {
		return list, err
	}
	held, err := l.held(ctx)
	if err != nil {
		return list, err
	}
	for _, n := range all {
		node := protocol.Node{ID: string(n.ID), Version: n.Version, Worker: n.Worker, Since: protocol.TimeOf(n.Since), LeaseUntil: protocol.TimeOf(n.Until),
			Living: n.Living, Draining: n.Draining, Load: n.Load}
		if n.Address != "" {
			node.Address = &n.Address
		}
		if h := held[n.ID]; !h.unknown {
			node.HeldBytes = &h.bytes
		}
		list.Nodes = append(list.Nodes, node)
	}
	return list, nil
}

// held is how much lies on a node's own disks.
type held struct {
	bytes   int64
	unknown bool
}

// held adds up what lies in the instances of local stores that are each node's.
func (l nodeList) held(ctx context.Context) (map[meta.NodeID]held, error) {
	known, err := l.db.KnownStores(ctx)
	if err != nil {
		return nil, err
	}
	homes, err := l.db.StoreHomes(ctx)
	if err != nil {
		return nil, err
	}
	all := map[meta.NodeID]held{}
	for instance := range known {
		name, node := holder.Split(instance)
		if node == "" {
			node = homes[name]
		}
		if node == "" {
			continue // all nodes share it
		}
		bytes, counted := l.stores.Bytes(ctx, instance)
		h := all[node]
		all[node] = held{h.bytes + bytes, h.unknown || !counted}
	}
	return all, ctx.Err()
}
