package metatest

import (
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// peer is a node of a cluster.
func peer(id meta.NodeID) meta.NewNode {
	return meta.NewNode{ID: id, Spot: "boot " + string(id), Address: "127.0.0.1:1", Version: "v1"}
}

// nodes are those that live, with their worker numbers.
func (e *env) nodes() (list []string) {
	e.Helper()
	all, err := e.db.Nodes(e.ctx)
	e.ok(err)
	for _, n := range all {
		if n.Living {
			list = append(list, fmt.Sprintf("%s %d", n.ID, n.Worker))
		}
	}
	return list
}

// told are all nodes that are told of.
func (e *env) told() (list []string) {
	e.Helper()
	all, err := e.db.Nodes(e.ctx)
	e.ok(err)
	for _, n := range all {
		list = append(list, string(n.ID))
	}
	return list
}

// prunes forgets so many nodes, and holds which are left.
func (e *env) prunes(n int, left ...string) {
	e.Helper()
	got, err := e.db.PruneNodes(e.ctx)
	e.ok(err)
	e.same("forgotten", got, n)
	e.same("told of", e.told(), left)
}

var clusterTests = map[string]func(*env){
	"a node that is gone is forgotten, unless something is needed of it": func(e *env) {
		names := []meta.NodeID{"a", "died", "disk", "homes", "job", "left", "upload"}
		leases := map[meta.NodeID]meta.NodeLease{}
		for _, id := range names {
			leases[id] = e.takeNode(peer(id))
		}
		writer := leases["upload"] // whose lease is the one that this database writes by
		_, err := e.db.ClaimStoreHome(e.ctx, "big", "homes")
		e.ok(err)
		for id, store := range map[string]string{"disk": "disk@disk", "homes": "big"} {
			e.ok(e.db.RememberStore(e.ctx, store))
			n := e.oneShot(string(id), byte(len(id)), 5)
			n.Blob.Store = store
			_, err := e.db.PutFile(e.ctx, n, nil)
			e.ok(err)
		}
		asked := e.enqueue(meta.NewJob{Node: "job"})
		e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "p", Subject: "left", Node: "left"}, time.Minute))
		e.ok(e.db.SetPeriodic(e.ctx, meta.NewJob{Kind: "p", Subject: "job", Node: "job"}, time.Minute))
		left := func(ids ...meta.NodeID) {
			for _, id := range ids {
				e.ok(e.db.LeaveNode(e.ctx, leases[id]))
			}
		}
		left("disk", "homes", "job", "left")
		e.clock.Add(time.Hour - time.Millisecond)
		e.keepNode(leases["a"])
		e.keepNode(writer)
		e.prunes(0, "a", "died", "disk", "homes", "job", "left", "upload")
		e.clock.Add(time.Millisecond)
		e.prunes(1, "a", "died", "disk", "homes", "job", "upload")
		jobs, err := e.db.Jobs(e.ctx, meta.AnyOwner, meta.JobQuery{Limit: 10, Kind: "p"})
		e.ok(err)
		for _, j := range jobs {
			want := map[string]protocol.JobState{"left": protocol.JobCancelled, "job": protocol.JobReady}[j.Subject]
			e.same("what "+j.Subject+" does again and again", j.State, want)
		}
		e.same("its jobs", len(jobs), 2)
		_, err = e.db.CancelJob(e.ctx, meta.AnyOwner, asked)
		e.ok(err)
		e.prunes(1, "a", "died", "disk", "homes", "upload")
		e.clock.Add(7*24*time.Hour - time.Hour)
		e.keepNode(leases["a"])
		e.keepNode(writer)
		e.prunes(0, "a", "died", "disk", "homes", "upload")
		e.clock.Add(placeLease)
		e.prunes(1, "a", "disk", "homes", "upload")
		e.nodeLost(leases["left"])
		e.same("its number is free", e.takeNode(peer("new")).Worker, leases["died"].Worker)
	},
	"each node has a worker number": func(e *env) {
		a, b, c := e.takeNode(peer("a")), e.takeNode(peer("b")), e.takeNode(peer("c"))
		e.same("workers", []int{a.Worker, b.Worker, c.Worker}, []int{0, 1, 2})
		e.keepNode(a)
		e.ok(e.db.LeaveNode(e.ctx, b))
		e.same("living", e.nodes(), []string{"a 0", "c 2"})
		e.heldBy(nodeA, "a", placeLease)
	},
	"a node that comes back has the number that it had": func(e *env) {
		e.takeNode(peer("a"))
		before := e.takeNode(peer("b"))
		e.clock.Add(time.Hour)
		e.takeNode(peer("c"))
		after := e.takeNode(peer("b"))
		e.same("worker", after.Worker, 1)
		e.nodeLost(before)
		e.same("living", e.nodes(), []string{"b 1", "c 2"})
	},
	"a lease that ran out among peers goes on": func(e *env) {
		a := e.takeNode(peer("a"))
		e.clock.Add(time.Hour)
		e.takeNode(peer("b"))
		e.keepNode(a)
		e.same("living", e.nodes(), []string{"a 0", "b 1"})
	},
	"a copy of a node is refused while that lives": func(e *env) {
		a := peer("a")
		e.takeNode(a)
		a.Spot = "elsewhere"
		e.heldBy(a, "a", placeLease)
		e.clock.Add(placeLease)
		e.takeNode(a)
	},
	"nobody is beside one that is alone": func(e *env) {
		alone := e.takeNode(nodeA)
		e.heldBy(peer("b"), nodeA.ID, placeLease)
		e.clock.Add(placeLease)
		b := e.takeNode(peer("b"))
		e.nodeLost(alone)
		e.same("worker", b.Worker, 1)
		e.heldBy(nodeA, "b", placeLease)
		e.clock.Add(placeLease)
		again := e.takeNode(nodeA)
		e.nodeLost(b)
		e.same("worker", again.Worker, alone.Worker)
		e.same("living", e.nodes(), []string{"aaaa 0"})
	},
	"one that is alone mints as worker 0": func(e *env) {
		peers := []meta.NodeLease{e.takeNode(peer("a")), e.takeNode(peer("b"))}
		e.clock.Add(placeLease)
		e.same("worker", e.takeNode(nodeB).Worker, 0)
		for _, l := range peers {
			e.nodeLost(l)
		}
	},
	"what a node tells is seen": func(e *env) {
		l := e.takeNode(peer("a"))
		began := e.clock.Now()
		e.clock.Add(time.Second)
		now, err := e.db.KeepNode(e.ctx, l, placeLease, meta.NodeReport{Ending: true, Load: 7})
		e.ok(err)
		list, err := e.db.Nodes(e.ctx)
		e.ok(err)
		e.same("nodes", list, []meta.Node{{ID: "a", Address: "127.0.0.1:1", Version: "v1", Since: began, Until: now.Add(placeLease), Living: true,
			NodeReport: meta.NodeReport{Ending: true, Load: 7}}})
		e.same("the database's time", now, e.clock.Now())
		e.takeNode(peer("a"))
		list, err = e.db.Nodes(e.ctx)
		e.ok(err)
		e.same("started again", list[0].NodeReport, meta.NodeReport{})
	},
	"a node that is drained is so until it is not, whatever becomes of it": func(e *env) {
		drained := func() (ids []meta.NodeID) {
			list, err := e.db.Nodes(e.ctx)
			e.ok(err)
			for _, n := range list {
				if n.Draining {
					ids = append(ids, n.ID)
				}
			}
			return ids
		}
		e.kind(e.db.DrainNode(e.ctx, "a", true), protocol.KindNotFound)
		a := e.takeNode(peer("a"))
		e.kind(e.db.DrainNode(e.ctx, "a", true), protocol.KindConflict)
		b := e.takeNode(peer("b"))
		for range 2 {
			e.ok(e.db.DrainNode(e.ctx, "a", true))
		}
		e.kind(e.db.DrainNode(e.ctx, "b", true), protocol.KindConflict)
		_, err := e.db.KeepNode(e.ctx, a, placeLease, meta.NodeReport{})
		e.ok(err)
		e.same("drained", []any{a.Draining, drained()}, []any{false, []meta.NodeID{"a"}})
		e.ok(e.db.LeaveNode(e.ctx, a))
		e.same("started again", []any{e.takeNode(peer("a")).Draining, drained()}, []any{true, []meta.NodeID{"a"}})
		e.ok(e.db.DrainNode(e.ctx, "a", false))
		_, err = e.db.KeepNode(e.ctx, b, placeLease, meta.NodeReport{Ending: true})
		e.ok(err)
		e.kind(e.db.DrainNode(e.ctx, "a", true), protocol.KindConflict)
		e.ok(e.db.LeaveNode(e.ctx, b))
		e.ok(e.db.DrainNode(e.ctx, "b", true)) // it does not live: so it will start
		e.same("drained", drained(), []meta.NodeID{"b"})
	},
	"of nodes that are drained at once one is the last": func(e *env) {
		e.takeNode(peer("a"))
		e.takeNode(peer("b"))
		done := make(chan error)
		for _, id := range []meta.NodeID{"a", "b"} {
			go func() { done <- e.db.DrainNode(e.ctx, id, true) }()
		}
		first, second := <-done, <-done
		if first == nil {
			first = second
		} else {
			e.ok(second)
		}
		e.kind(first, protocol.KindConflict)
	},
	"open uploads are counted where they are at home": func(e *env) {
		for i, node := range []meta.NodeID{"a", "a", "b", ""} {
			up := e.newUpload(fmt.Sprint(i))
			up.Node = node
			_, err := e.db.BeginUpload(e.ctx, up, nil)
			e.ok(err)
			if i == 0 {
				e.ok(e.db.AbortUpload(e.ctx, up.Owner, up.UID))
			}
		}
		for id, want := range map[meta.NodeID]int64{"a": 1, "b": 1, "c": 0} {
			n, err := e.db.OpenUploadsOn(e.ctx, id)
			e.ok(err)
			e.same("on "+string(id), n, want)
		}
	},
	"a number that was another's mints no uid again, on a clock that is behind": func(e *env) {
		var last protocol.UID
		for i, behind := range []time.Duration{0, 10 * time.Minute, time.Hour} {
			l := e.takeNode(meta.NewNode{ID: meta.NodeID(fmt.Sprint(i)), Alone: true})
			e.same("worker", l.Worker, 0)
			m, err := meta.NewMinter(e.db, l.Worker, func() time.Time { return e.clock.Now().Add(-behind) })
			e.ok(err)
			for range 5000 {
				uid, err := m.Next(e.ctx)
				e.ok(err)
				if uid <= last {
					e.Fatalf("uid %s after %s", uid, last)
				}
				last = uid
			}
			e.ok(e.db.LeaveNode(e.ctx, l))
		}
	},
	"numbers of nodes that are gone are given again, those of the living never": func(e *env) {
		var all []meta.NodeLease
		for i := range 1024 {
			all = append(all, e.takeNode(peer(meta.NodeID(fmt.Sprintf("node%04d", i)))))
		}
		if _, err := e.db.TakeNode(e.ctx, peer("late"), placeLease); err == nil {
			e.Fatal("1025 nodes live at once")
		}
		e.ok(e.db.LeaveNode(e.ctx, all[700]))
		late := e.takeNode(peer("late"))
		e.same("worker", late.Worker, 700)
		e.nodeLost(all[700])
		e.clock.Add(time.Second)
		e.ok(e.db.LeaveNode(e.ctx, all[9]))
		e.clock.Add(time.Second)
		e.ok(e.db.LeaveNode(e.ctx, all[3]))
		later := e.takeNode(peer("later"))
		e.same("the first that ended", later.Worker, 9)
		e.same("one that came back", e.takeNode(peer("node0003")).Worker, 3)
		e.same("living", len(e.nodes()), 1024)
		e.same("names", slices.Contains(e.nodes(), "node0009 9"), false)
	},
}
