package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store/open"
)

// equalStores refuses to go on with a store that is not what the other nodes of the
// database have under its name, or what objects of this installation lie in, before
// anything is written to it. Where keep is set it writes down what this node has. It
// comes before nameStores: the names are the configured ones.
func (in *Installation) equalStores(ctx context.Context, cfg *Config, keep bool, log *slog.Logger) error {
	if !cfg.DB.shared() {
		return nil
	}
	if err := in.checkTypes(ctx, cfg); err != nil {
		return err
	}
	if cfg.Cluster.on() {
		if err := in.checkBuckets(ctx, cfg); err != nil {
			return err
		}
	}
	if !keep {
		return nil
	}
	err := in.DB.SayStores(ctx, in.place.lease, cfg.nodeStores())
	if d, ok := errors.AsType[*meta.StoreDiffers](err); ok {
		return in.storeDiffers(d)
	}
	if err != nil {
		return err
	}
	return in.tellAddresses(ctx, cfg, log)
}

// tellAddresses warns of stores that another node which lives reaches at another
// address. A copy of a bucket bears the mark of the one it was made of, and nothing but
// the operator tells them apart.
func (in *Installation) tellAddresses(ctx context.Context, cfg *Config, log *slog.Logger) error {
	said, err := in.DB.SaidStores(ctx)
	if err != nil {
		return err
	}
	for _, s := range said {
		if own := cfg.nodeStore(s.Name); s.Lives && s.Place != own.Place && own.Bucket != "" {
			log.WarnContext(ctx, "another node reaches a store at another address; both have to lead to one bucket, and not to a copy of it", "store", s.Name, "here", own.Place, "node", s.Node, "there", s.Place)
		}
	}
	return nil
}

// nodeStores are the stores of the configuration, as the database is told of them.
func (c *Config) nodeStores() (list []meta.NodeStore) {
	for _, name := range slices.Sorted(maps.Keys(c.Stores)) {
		list = append(list, c.nodeStore(name))
	}
	return list
}

func (c *Config) nodeStore(name string) meta.NodeStore {
	sc := c.Stores[name]
	s := meta.NodeStore{Name: name, Type: sc.Type, Bucket: sc.BucketOf()}
	if s.Bucket != "" { // where a folder is concerns nobody else
		s.Place = sc.Place()
	}
	return s
}

// lacking says which of the other nodes that live do not have a store as this one
// has it. One that stops is started again, with whatever it is configured with then.
func (in *Installation) lacking(ctx context.Context, own meta.NodeStore) (which []string, err error) {
	nodes, err := in.DB.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	all, err := in.DB.SaidStores(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.ID == in.Node || !n.Living || n.Ending {
			continue
		}
		i := slices.IndexFunc(all, func(s meta.SaidStore) bool { return s.Node == n.ID && s.Name == own.Name && s.Lives })
		switch {
		case i < 0:
			which = append(which, "node "+string(n.ID)+" has none of that name")
		case all[i].Type != own.Type || all[i].Bucket != own.Bucket:
			which = append(which, fmt.Sprintf("that of node %s is %s", n.ID, all[i].NodeStore))
		}
	}
	return which, nil
}

// storeDiffers says which node has what, and what is to be done about it.
func (in *Installation) storeDiffers(d *meta.StoreDiffers) error {
	if d.Unproved {
		return fmt.Errorf("store %s: node %s, which runs, reaches it at %q, and this is node %s, whose configuration has %q; whether both are one bucket is not known before one of them has used it; "+
			"nothing was changed; where they are one, start this node again once the other reaches it (osp admin stores), else correct the configuration that is wrong",
			d.Own.Name, d.Other.Node, d.Other.Place, in.Node, d.Own.Place)
	}
	return fmt.Errorf("store %s: it is %s at node %s, which runs, and %s in the configuration of this one, node %s; nothing was changed; what is one store has one type and one bucket at all nodes: "+
		"correct the configuration that is wrong, or give one of the two another name; to have another bucket in its place, configure that under another name at all nodes, and have osp admin migrate move what lies in it",
		d.Own.Name, d.Other.NodeStore, d.Other.Node, d.Own, in.Node)
}

// checkTypes refuses a store of another type than that in which objects of this
// installation lie under its name, on whichever node's disk.
func (in *Installation) checkTypes(ctx context.Context, cfg *Config) error {
	known, err := in.DB.KnownStores(ctx)
	if err != nil {
		return err
	}
	for _, instance := range slices.Sorted(maps.Keys(known)) {
		was, name := known[instance], nameOf(instance)
		sc, ok := cfg.Stores[name]
		if !ok || was == "" || was == sc.Type {
			continue
		}
		use, err := in.DB.StoreUse(ctx, instance)
		if err != nil {
			return err
		}
		if use != meta.StoreUnused {
			return otherType(name, was, sc.Type)
		}
	}
	return nil
}

// nameOf is the configured name of an instance.
func nameOf(instance string) string {
	name, _ := holder.Split(instance)
	return name
}

// otherType is the error of a store that was of another type.
func otherType(name, was, is string) error {
	return fmt.Errorf("store %s: it was of type %s, is of type %s in the configuration, and objects of this installation lie in the former; nothing was changed; "+
		"configure the former under this name and the new one under another, and have osp admin migrate move what lies in it", name, was, is)
}

// checkBuckets refuses another bucket than that in which objects of this installation
// lie, also while nobody else runs. Who is alone on the database goes by the mark: a
// bucket that bears this store's may be a copy, which nobody else has to know of.
func (in *Installation) checkBuckets(ctx context.Context, cfg *Config) error {
	noted, err := in.DB.StoreBuckets(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(noted)) {
		sc, ok := cfg.Stores[name]
		if !ok || sc.BucketOf() == noted[name].Bucket {
			continue
		}
		use, err := in.DB.StoreUse(ctx, name)
		if err != nil {
			return err
		}
		if use != meta.StoreUnused {
			return in.otherBucket(name, noted[name], sc)
		}
	}
	return nil
}

// otherBucket is the error of a store that was in another bucket.
func (in *Installation) otherBucket(name string, was meta.NotedBucket, is open.Config) error {
	return fmt.Errorf("store %s: it was bucket %q when node %s used it, is bucket %q in the configuration of this one, node %s, and objects of this installation lie in the former; nothing was changed; "+
		"configure the former under this name and the new one under another, and have osp admin migrate move what lies in it; "+
		"where the former was copied to the new one, its mark OSPD-STORE with it, stop all nodes and start one of them once without the section cluster, before the others get the new one too",
		name, was.Bucket, was.Node, is.BucketOf(), in.Node)
}
