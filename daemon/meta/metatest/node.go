package metatest

import (
	"errors"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const placeLease = 30 * time.Second

var (
	nodeA = meta.NewNode{ID: "aaaa", Spot: "boot 1:2", Alone: true}
	nodeB = meta.NewNode{ID: "bbbb", Spot: "boot 1:3", Alone: true}
)

func (e *env) takeNode(n meta.NewNode) meta.NodeLease {
	e.Helper()
	l, err := e.db.TakeNode(e.ctx, n, placeLease)
	e.ok(err)
	return l
}

// heldBy expects that the place is a node's, for a time.
func (e *env) heldBy(n meta.NewNode, by meta.NodeID, left time.Duration) {
	e.Helper()
	_, err := e.db.TakeNode(e.ctx, n, placeLease)
	h, ok := errors.AsType[*meta.NodeHeld](err)
	if !ok || h.Node != by || h.Left != left || !h.Until.Equal(e.clock.Now().Add(left)) {
		e.Fatalf("node %s gets %v (%+v), want one that says %s holds it for %s", n.ID, err, h, by, left)
	}
}

// keptNode is what a renewal of the lease says.
func (e *env) keptNode(l meta.NodeLease) error {
	_, err := e.db.KeepNode(e.ctx, l, placeLease, meta.NodeReport{})
	return err
}

func (e *env) keepNode(l meta.NodeLease) {
	e.Helper()
	e.ok(e.keptNode(l))
}

func (e *env) nodeLost(l meta.NodeLease) {
	e.Helper()
	for what, err := range map[string]error{"keep": e.keptNode(l), "leave": e.db.LeaveNode(e.ctx, l)} {
		if !errors.Is(err, meta.ErrNodeLost) {
			e.Fatalf("%s of a lost place: %v", what, err)
		}
	}
}

var nodeTests = map[string]func(*env){
	"one has the place": func(e *env) {
		l := e.takeNode(nodeA)
		e.clock.Add(10 * time.Second)
		e.heldBy(nodeB, nodeA.ID, 20*time.Second)
		e.keepNode(l)
		e.heldBy(nodeB, nodeA.ID, placeLease)
		e.clock.Add(placeLease - time.Millisecond)
		e.heldBy(nodeB, nodeA.ID, time.Millisecond)
	},
	"a lease that ran out goes on while nobody has taken it": func(e *env) {
		l := e.takeNode(nodeA)
		e.clock.Add(time.Hour)
		e.keepNode(l)
		e.heldBy(nodeB, nodeA.ID, placeLease)
	},
	"one that ran out is for the next": func(e *env) {
		a := e.takeNode(nodeA)
		e.clock.Add(placeLease)
		b := e.takeNode(nodeB)
		e.nodeLost(a)
		e.keepNode(b)
		e.heldBy(nodeA, nodeB.ID, placeLease)
	},
	"one that was given back is for the next": func(e *env) {
		a := e.takeNode(nodeA)
		e.ok(e.db.LeaveNode(e.ctx, a))
		b := e.takeNode(nodeB)
		e.nodeLost(a)
		e.ok(e.db.LeaveNode(e.ctx, b))
		again := e.takeNode(nodeA)
		e.nodeLost(a)
		e.nodeLost(b)
		e.same("fences rise", again.Fence > b.Fence && b.Fence > a.Fence, true)
	},
	"a node comes back to its spot at once": func(e *env) {
		before := e.takeNode(nodeA)
		after := e.takeNode(nodeA)
		e.nodeLost(before)
		e.keepNode(after)
		e.heldBy(nodeB, nodeA.ID, placeLease)
	},
	"its copy does not": func(e *env) {
		e.takeNode(nodeA)
		e.heldBy(meta.NewNode{ID: nodeA.ID, Spot: "boot 1:4", Alone: true}, nodeA.ID, placeLease)
		e.heldBy(meta.NewNode{ID: nodeA.ID, Spot: "later 1:2"}, nodeA.ID, placeLease)
		e.heldBy(meta.NewNode{ID: nodeB.ID, Spot: nodeA.Spot}, nodeA.ID, placeLease)
	},
	"no spot is none": func(e *env) {
		e.takeNode(meta.NewNode{ID: "cccc", Alone: true})
		e.heldBy(meta.NewNode{ID: "cccc"}, "cccc", placeLease)
	},
	"whoever has taken it writes": func(e *env) {
		e.ok(e.db.RememberStore(e.ctx, "before"))
		e.takeNode(nodeA)
		e.ok(e.db.RememberStore(e.ctx, "disk"))
		e.clock.Add(placeLease)
		e.takeNode(nodeB)
		e.ok(e.db.RememberStore(e.ctx, "other"))
	},
	"word of a lost place": func(e *env) {
		l := e.takeNode(nodeA)
		e.ok(e.db.LeaveNode(e.ctx, l))
		e.takeNode(nodeB)
		select {
		case <-e.db.NodeDoubted():
			e.Fatal("there was word before")
		default:
		}
		e.nodeLost(l)
		select {
		case <-e.db.NodeDoubted():
		default:
			e.Fatal("there is no word")
		}
	},
}
