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
	self   meta.NodeID
	peers  *peering
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
		node, err := l.describe(ctx, n, held[n.ID])
		if err != nil {
			return list, err
		}
		list.Nodes = append(list.Nodes, node)
	}
	return list, nil
}

// Drain says whether a node is to take nothing new, where drain is not nil, and
// gives it as it is then.
func (l nodeList) Drain(ctx context.Context, id string, drain *bool) (protocol.Node, error) {
	if drain != nil {
		if err := l.db.DrainNode(ctx, meta.NodeID(id), *drain); err != nil {
			return protocol.Node{}, err
		}
	}
	list, err := l.List(ctx)
	if err != nil {
		return protocol.Node{}, err
	}
	for _, n := range list.Nodes {
		if n.ID == id {
			return n, nil
		}
	}
	return protocol.Node{}, meta.NoNode()
}

func (l nodeList) describe(ctx context.Context, n meta.Node, h held) (protocol.Node, error) {
	node := protocol.Node{ID: string(n.ID), Version: n.Version, Worker: n.Worker, Since: protocol.TimeOf(n.Since), LeaseUntil: protocol.TimeOf(n.Until),
		Living: n.Living, Reachable: l.reachable(n.ID), Draining: n.Draining, Stopping: n.Living && n.Ending, Load: n.Load}
	if n.Address != "" {
		node.Address = &n.Address
	}
	if !h.unknown {
		node.HeldBytes = &h.bytes
	}
	var err error
	node.OpenUploads, err = l.db.OpenUploadsOn(ctx, n.ID)
	return node, err
}

// reachable says whether a node answers this one, nil where it is not asked.
func (l nodeList) reachable(node meta.NodeID) *bool {
	if node == l.self {
		return new(true)
	}
	return l.peers.reaches(node)
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
