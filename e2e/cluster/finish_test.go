//go:build servers && linux

package cluster

import (
	"strings"

	"github.com/osproxy/osproxy/e2e/harness"
)

// ospd runs a verb of ospd as the node, which is stopped.
func (n *node) ospd(c *cluster, args ...string) (exit int, output string) {
	c.t.Helper()
	p := harness.Start(c.t, nil, "", bin.OSPD, append(args, "--data", n.Data, "--config", n.config)...)
	exit = p.Wait()
	return exit, p.Stdout() + p.Stderr()
}

// finish stops all nodes and holds what they leave to the fourth promise: fsck
// finds nothing from the folder of a node, and after gc nothing is pending. Where
// they share a store no node has asked another for anything.
func (c *cluster) finish() {
	c.t.Helper()
	for _, n := range c.nodes {
		select {
		case <-n.Done():
			continue
		default:
		}
		if exit := n.Stop(); exit != 0 {
			c.t.Errorf("a node left with %d:\n%s", exit, n.Stderr())
		}
		if c.plan.minio != nil && strings.Contains(n.Stderr(), "handed_to") {
			c.t.Errorf("a node handed a request to another, which has no more than it has itself:\n%s", n.Stderr())
		}
	}
	folders := c.nodes
	if c.plan.minio != nil {
		folders = folders[:1] // the others would look at the same
	}
	for i, n := range folders {
		if exit, out := n.ospd(c, "fsck", "--read-data"); exit != 0 {
			c.t.Errorf("fsck at node %d: %d: %s", i, exit, out)
		}
		if exit, out := n.ospd(c, "gc", "--grace", "0s"); exit != 0 {
			c.t.Errorf("gc at node %d: %d: %s", i, exit, out)
		}
	}
	for i, n := range folders {
		if exit, out := n.ospd(c, "fsck"); exit != 0 || pending(out) {
			c.t.Errorf("fsck at node %d after gc: %d: %s", i, exit, out)
		}
	}
}

// pending reports whether fsck said of anything that it is still to be done.
func pending(said string) bool {
	return strings.Contains(said, "\npending") || strings.HasPrefix(said, "pending")
}
