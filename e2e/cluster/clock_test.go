//go:build servers && linux

package cluster

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestClocksThatAreWrong: of three nodes on a store that they share one has the
// right clock, that of one is four minutes ahead and that of one four behind (more
// is refused, for the object store's sake). No lease, no number, no uid and no file is lost or
// given twice by that: leases go by the time of the database, a number's uids only
// rise, and what ends by time does so by a clock that is right.
func TestClocksThatAreWrong(t *testing.T) {
	p := onMinIO(t, 3)
	p.binaries = anyClock(t, bin)
	c := start(t, p)
	right, early, late := c.nodes[0], c.nodes[1], c.nodes[2]
	open := right.API().MustBegin("open", 10)
	soon := time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339)
	kept := right.API().MustFile(right.API().Do("POST", "/v1/files?name=kept&expires_at="+soon, strings.NewReader("kept"), 4), http.StatusCreated)
	const minutes = 4 * time.Minute
	early.restart(t, ahead(minutes))
	late.restart(t, ahead(-minutes))
	for _, n := range []*node{early, late} {
		harness.Eventually(t, "the node says that its clock is wrong", func() bool { return strings.Contains(n.Stderr(), "the clock of this machine is") })
	}
	l := c.newLoad(6)
	l.progress(50)
	c.spread(4)
	l.progress(50)
	c.allLive()
	// What goes by time was not ended by the clock that is ahead.
	if u, ans := right.API().Upload(open.UID); ans.Err != nil || u.State != protocol.UploadOpen {
		t.Errorf("the upload that is open is %+v, %v", u, ans.Err)
	}
	right.API().MustHold(kept.UID, []byte("kept"))
	c.rises(early, "") // to the right clock
	c.rises(late, ahead(-minutes-30*time.Second))
	c.inherits(right, ahead(-minutes))
	c.allLive()
	l.check()
	c.finish()
}

// restart stops a node and starts it with env.
func (n *node) restart(t *testing.T, env ...string) {
	t.Helper()
	if exit := n.Stop(); exit != 0 {
		t.Errorf("a node left with %d:\n%s", exit, n.Stderr())
	}
	n.Start(env...)
}

// allLive has every node list all nodes as living.
func (c *cluster) allLive() {
	c.t.Helper()
	for i, n := range c.nodes {
		list := n.list(c.t)
		for _, seen := range list.Nodes {
			if !seen.Living {
				c.t.Errorf("to node %d another is dead: %+v", i, seen)
			}
		}
		if len(list.Nodes) != len(c.nodes) {
			c.t.Errorf("node %d lists %+v", i, list)
		}
	}
}

// list are the nodes as one of them lists them.
func (n *node) list(t *testing.T) (list protocol.NodeList) {
	t.Helper()
	ans := n.API().JSON("GET", "/v1/nodes", nil)
	n.API().Require(ans, http.StatusOK)
	mustJSON(t, ans.Body, &list)
	return list
}

// mint has a node make a uid, and says by which number.
func (n *node) mint(data string) (protocol.UID, int) {
	f := n.API().MustFile(n.API().PutFile("minted", []byte(data)), http.StatusCreated)
	return f.UID, int(f.UID>>12) & 1023
}

// rises restarts a node on one clock after the other: it keeps its number, and
// each uid is above those before.
func (c *cluster) rises(n *node, clocks ...string) {
	c.t.Helper()
	last, number := n.mint("before")
	for _, clock := range clocks {
		n.restart(c.t, clock)
		uid, worker := n.mint("after " + clock)
		if uid <= last || worker != number {
			c.t.Errorf("with the clock %q number %d mints %s, after %s of %d", clock, worker, uid, last, number)
		}
		last = uid
	}
}

// inherits has a node that joins with another clock be given the number of one
// that has ended: the uids of the number go on to rise.
func (c *cluster) inherits(from *node, clock string) {
	t := c.t
	t.Helper()
	last, number := from.mint("of the first")
	if exit := from.Stop(); exit != 0 {
		t.Errorf("a node left with %d:\n%s", exit, from.Stderr())
	}
	c.takeAllNumbers()
	name, value, _ := strings.Cut(clock, "=")
	t.Setenv(name, value)
	after := c.join()
	t.Setenv(name, "")
	c.freeNumbers()
	if uid, worker := after.mint("of the second"); worker != number || uid <= last {
		t.Errorf("number %d mints %s on another clock, after %s of number %d", worker, uid, last, number)
	}
	from.Start()
}
