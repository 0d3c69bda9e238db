package meta

import (
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// workers is how many worker numbers there are, and so how many nodes may live
// at once.
const workers = 1 << workerBits

// placeRow is a row of nodes.
type placeRow struct {
	lease        NodeLease
	spot         string
	until, since int64
	alone        bool
}

// mayReturn reports whether the node held the place from where it is now, and
// so does not any more.
func (r placeRow) mayReturn(n NewNode) bool {
	return n.Spot != "" && r.lease.Node == n.ID && r.spot == n.Spot
}

func (r placeRow) held(now int64) *NodeHeld {
	return &NodeHeld{Node: r.lease.Node, Since: timeOf(r.since), Until: timeOf(r.until), Left: time.Duration(r.until-now) * time.Millisecond, Alone: r.alone}
}

// joining is a node that takes a place, in the transaction in which it does.
type joining struct {
	*tx
	node NewNode
	// fenceOff is nil where no other process can be there.
	fenceOff func(t *tx, holder string) error
	now      int64
}

// take has one node after the other take its place: each sees what those before
// it have taken.
func (j *joining) take(lease time.Duration) (l NodeLease, err error) {
	l.Node = j.node.ID
	if l.Fence, err = j.nextFence(); err != nil {
		return l, err
	}
	if j.now, err = j.databaseNow(); err != nil {
		return l, err
	}
	own, err := j.ownPlace()
	if err != nil {
		return l, err
	}
	if err := j.expel(l.Fence); err != nil {
		return l, err
	}
	if own == nil {
		own, l.Worker, err = j.otherPlace()
	} else {
		l.Worker, l.Draining = own.lease.Worker, own.lease.Draining
	}
	if err == nil && own != nil {
		err = j.vacate(*own)
	}
	if err != nil {
		return l, err
	}
	_, err = j.exec(`INSERT INTO nodes (name, worker, address, version, boot_id, fence, lease_until, started_at, alone, draining) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(l.Node), l.Worker, j.node.Address, j.node.Version, j.node.Spot, l.Fence, j.now+lease.Milliseconds(), j.now, flag(j.node.Alone), flag(l.Draining))
	return l, err
}

// nextFence gives a number above that of every lease there was, whatever rows
// have gone since, and holds off who else would take a place until the
// transaction ends.
func (j *joining) nextFence() (fence int64, err error) {
	if _, err := j.counter(settingFence, func(old int64) int64 { return old }); err != nil {
		return 0, err
	}
	var most int64 // a row's was raised by itself where a schema was changed under it
	if _, err := j.one(`SELECT COALESCE(MAX(fence), 0) FROM nodes`, nil, &most); err != nil {
		return 0, err
	}
	_, err = j.counter(settingFence, func(old int64) int64 {
		fence = max(old, most) + 1
		return fence
	})
	return fence, err
}

// ownPlace locks the row that the node has from before, nil without one.
func (j *joining) ownPlace() (*placeRow, error) {
	list, err := j.places(`WHERE name = ? FOR UPDATE`, string(j.node.ID))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if own := list[0]; own.until > j.now && !own.mayReturn(j.node) {
		return nil, own.held(j.now)
	}
	return &list[0], nil
}

// expel has those whose lease has ended never come back to it who must not be
// there beside the node, and refuses it where one of these lives. Their rows
// stay, with a fence that nobody holds.
func (j *joining) expel(fence int64) error {
	others := `name <> ? AND (alone = 1 OR ? = 1) AND lease_until `
	args := []any{string(j.node.ID), flag(j.node.Alone), j.now}
	gone, err := j.places(`WHERE `+others+`<= ? FOR UPDATE`, args...)
	if err != nil {
		return err
	}
	for _, r := range gone {
		if err := j.fence(r); err != nil {
			return err
		}
		if _, err := j.exec(`UPDATE nodes SET fence = ? WHERE name = ?`, fence, string(r.lease.Node)); err != nil {
			return err
		}
	}
	living, err := j.places(`WHERE `+others+`> ? ORDER BY lease_until DESC, worker LIMIT 1`, args...)
	if err == nil && len(living) > 0 {
		err = living[0].held(j.now)
	}
	return err
}

// otherPlace chooses a worker number for a node that has none: one that nobody
// has used yet, else that of the row whose lease ended first. Whoever is alone
// has 0, as on a database that has no nodes.
func (j *joining) otherPlace() (*placeRow, int, error) {
	if !j.node.Alone {
		if worker, err := j.unusedWorker(); err != nil || worker < workers {
			return nil, worker, err
		}
	}
	// A row that is locked is being renewed.
	list, err := j.places(`WHERE lease_until <= ? AND (worker = 0 OR ? = 0) ORDER BY lease_until, worker LIMIT 1 FOR UPDATE SKIP LOCKED`, j.now, flag(j.node.Alone))
	switch {
	case err != nil:
		return nil, 0, err
	case len(list) > 0:
		return &list[0], list[0].lease.Worker, nil
	case j.node.Alone:
		return nil, 0, nil
	}
	return nil, 0, &protocol.Error{Kind: protocol.KindUnavailable, Message: "all 1024 worker numbers of the cluster are leased to nodes; nothing was changed",
		Hint: "Stop a node that is not needed; its number is free once its lease has ended."}
}

// unusedWorker is the lowest worker number that is in no row, workers where all
// are.
func (j *joining) unusedWorker() (worker int, err error) {
	err = j.each(`SELECT worker FROM nodes ORDER BY worker`, nil, func(scan scanFunc) error {
		var used int
		err := scan(&used)
		if used == worker {
			worker++
		}
		return err
	})
	return worker, err
}

// vacate ends a place, whoever thinks to hold it. What the node said of its stores is
// forgotten with it, but for what it said itself that takes its place again.
func (j *joining) vacate(r placeRow) error {
	if err := j.fence(r); err != nil {
		return err
	}
	if r.lease.Node != j.node.ID {
		if _, err := j.exec(`DELETE FROM node_stores WHERE node = ?`, string(r.lease.Node)); err != nil {
			return err
		}
	}
	_, err := j.exec(`DELETE FROM nodes WHERE name = ?`, string(r.lease.Node))
	return err
}

// fence has all writes of the row's holder fail.
func (j *joining) fence(r placeRow) error {
	if j.fenceOff == nil {
		return nil
	}
	return j.fenceOff(j.tx, r.lease.holder())
}

// places reads rows of nodes.
func (q query) places(text string, args ...any) (list []placeRow, err error) {
	err = q.each(`SELECT name, worker, boot_id, fence, lease_until, started_at, alone = 1, draining = 1 FROM nodes `+text, args, func(scan scanFunc) error {
		var r placeRow
		err := scan(&r.lease.Node, &r.lease.Worker, &r.spot, &r.lease.Fence, &r.until, &r.since, &r.alone, &r.lease.Draining)
		list = append(list, r)
		return err
	})
	return list, err
}
