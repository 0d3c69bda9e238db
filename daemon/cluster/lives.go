package cluster

import (
	"context"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Lives reports whether a node that sends a request has a lease that lasts, as far
// as that is known here. One that had none when the list was read last may have come since, so the
// list is read once more for it.
func (c *Cluster) Lives(ctx context.Context, node meta.NodeID) bool {
	if m, _ := c.member(node); m != nil {
		m.sends()
		return true
	}
	select {
	case <-c.begun:
	case <-ctx.Done():
		return false
	}
	c.lookAnew(ctx)
	m, _ := c.member(node)
	return m != nil
}
