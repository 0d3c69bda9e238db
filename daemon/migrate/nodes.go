package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/protocol"
)

// findInstances has the args name instances of this node (package holder), of which
// the source decides: where another node has it the error sends there. The target is
// this node's too: a node writes to the stores that it reaches.
func (w *Worker) findInstances(ctx context.Context, a *Args) (err error) {
	if w.cfg.Instance == nil {
		return nil
	}
	var elsewhere bool
	if a.From, elsewhere, err = w.cfg.Instance(ctx, a.From); err != nil {
		return err
	}
	if elsewhere {
		return holder.At(a.From)
	}
	to := a.To
	if own := w.cfg.Instances[a.To]; own != "" {
		a.To = own // a disk of this node's, whoever is the store's home
	} else if a.To, elsewhere, err = w.cfg.Instance(ctx, a.To); err != nil {
		return err
	}
	switch {
	case elsewhere && !w.cfg.Disks[a.From]:
		return stranded(*a)
	case elsewhere:
		return w.between(fmt.Sprintf("%s and %s are disks of two nodes", a.From, to))
	case to != a.From && w.cfg.Instances[to] == a.From: // its own, by the name that each node has for its own
		return w.between(fmt.Sprintf("to the node of %s, store %s is that same disk, and to other nodes a disk of theirs", a.From, to))
	}
	return nil
}

// between is the error of whoever wants what lies on a node's disk on that of another.
// Neither can write to the other's, and a file that is to survive both needs neither.
func (w *Worker) between(what string) error {
	var shared []string
	for name := range w.cfg.Stores {
		if !w.cfg.Disks[name] {
			shared = append(shared, name)
		}
	}
	e := &protocol.Error{Kind: protocol.KindBadRequest,
		Message: what + "; such are not moved to one another, since no node writes to another's disk; nothing was done",
		Hint:    "Configure a store that all nodes share (s3, oss or cos) at each of them, and move the disk there; without one a node with a disk has to stay."}
	if slices.Sort(shared); len(shared) > 0 {
		e.Hint = fmt.Sprintf("Move it to a store that all nodes share: --to %s. From then on its files need neither node.", strings.Join(shared, " or --to "))
	}
	return e
}

func (w *Worker) noStore(name string) error {
	e := protocol.Errorf(protocol.KindBadRequest, "there is no store %.40q; nothing was done", name)
	if _, node := holder.Split(name); node != "" {
		e = protocol.Errorf(protocol.KindBadRequest, "no node has a store %.80q; nothing was done", name)
	}
	names := strings.Join(slices.Sorted(maps.Keys(w.cfg.Stores)), ", ")
	if e.Hint = "Stores are " + names + "."; w.cfg.Instance != nil {
		e.Hint = "Stores of this node are " + names + "; osp admin stores lists those of all."
	}
	return e
}

// strands reports whether other nodes would have no store for new blobs any more:
// they have a source that all share, and not the disk that it is moved to.
func (w *Worker) strands(a Args) bool { return w.cfg.Disks[a.To] && !w.cfg.Disks[a.From] }

// lacking says of each living node that does not have the target, or has another under
// its name, which it is. A node's own disk is no other's.
func (w *Worker) lacking(ctx context.Context, a Args) ([]string, error) {
	if w.cfg.Lacking == nil || w.cfg.Disks[a.To] {
		return nil, nil
	}
	return w.cfg.Lacking(ctx, a.To)
}

func stranded(a Args) error {
	return &protocol.Error{Kind: protocol.KindBadRequest,
		Message: fmt.Sprintf("all nodes of the cluster share store %s, and %s is a disk of one of them: the others would have no place for new blobs; nothing was done", a.From, a.To),
		Hint:    "Move it to another store that all nodes share; or stop the other nodes, and have this one do it alone, without cluster in its configuration."}
}
