package sweep

import (
	"context"
	"maps"
	"slices"
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

// sweeps are the stores whose blobs the round is about, "" for all. What is another
// sweep's is not listed: on the disk of a node that is gone there may be much of it.
func (r *round) sweeps(ctx context.Context) ([]string, error) {
	switch r.scope {
	case all:
		return []string{""}, nil
	case disks:
		own := slices.Sorted(maps.Keys(r.cfg.Disks))
		return slices.DeleteFunc(own, func(name string) bool { return !r.cfg.Disks[name] }), nil
	}
	names, err := r.cfg.Meta.NamedStores(ctx)
	return slices.DeleteFunc(names, func(name string) bool {
		leaves, err := r.leaves(ctx, name)
		return leaves && err == nil // where that is not known, each of its blobs counts as one that failed
	}), err
}

// leaves reports whether a store is for another sweep, of this node's or another's.
func (r *round) leaves(ctx context.Context, name string) (bool, error) {
	if r.cfg.Stores[name] != nil {
		return r.scope != all && (r.scope == disks) != r.cfg.Disks[name], nil
	}
	if r.scope == disks || r.cfg.Elsewhere == nil {
		return r.scope == disks, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	is, asked := r.elsewhere[name]
	if asked {
		return is, nil
	}
	is, err := r.cfg.Elsewhere(ctx, name)
	if err == nil {
		r.elsewhere[name] = is
	}
	return is, err
}
