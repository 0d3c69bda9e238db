package daemon

import (
	"context"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// nodeList tells of the nodes that work on the database.
type nodeList struct{ db *meta.DB }

// List describes every node, by id.
func (l nodeList) List(ctx context.Context) (list protocol.NodeList, err error) {
	all, err := l.db.Nodes(ctx)
	if err != nil {
		return list, err
	}
	for _, n := range all {
		node := protocol.Node{ID: string(n.ID), Version: n.Version, Worker: n.Worker, Since: protocol.TimeOf(n.Since), LeaseUntil: protocol.TimeOf(n.Until),
			Living: n.Living, Draining: n.Draining, Load: n.Load}
		if n.Address != "" {
			node.Address = &n.Address
		}
		list.Nodes = append(list.Nodes, node)
	}
	return list, nil
}
