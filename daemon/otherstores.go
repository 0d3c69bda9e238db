package daemon

import "github.com/osproxy/osproxy/daemon/holder"

// Others is api.Peers.
func (p *peering) Others() (nodes []*holder.Elsewhere) {
	for _, s := range p.cluster.States() {
		nodes = append(nodes, &holder.Elsewhere{Node: s.Node})
	}
	return nodes
}
