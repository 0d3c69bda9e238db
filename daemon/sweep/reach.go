package sweep

import (
	"context"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Each node of a cluster has disks of its own, which no other reaches: what lies
// there is deleted, and its rows are removed, by a sweep of that node's alone. What
// a node would do that is gone for good waits until somebody gives its disk up.

// scope is whose objects a round deletes.
type scope int

const (
	all    scope = iota // those of every store of this node's
	shared              // those of stores that other nodes reach, too
	disks               // those on this node's own disks
)

// SweepDisks frees what lies on this node's own disks, and was doomed by a Sweep
// somewhere. The error is like that of Sweep.
func (s *Sweeper) SweepDisks(ctx context.Context) (Report, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	r := newRound(s)
	r.scope = disks
	err := r.run(ctx, []step{{"delete objects", r.delete}, {"remove tombstones", r.bury}})
	r.recovered()
	return r.report, err
}

// leaves reports whether a blob is for another sweep, of this node's or another's.
func (r *round) leaves(ctx context.Context, b meta.Blob) (bool, error) {
	if r.cfg.Stores[b.Store] != nil {
		return r.scope != all && (r.scope == disks) != r.cfg.Disks[b.Store], nil
	}
	if r.scope == disks || r.cfg.Elsewhere == nil {
		return r.scope == disks, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	is, asked := r.elsewhere[b.Store]
	if asked {
		return is, nil
	}
	is, err := r.cfg.Elsewhere(ctx, b.Store)
	if err == nil {
		r.elsewhere[b.Store] = is
	}
	return is, err
}
