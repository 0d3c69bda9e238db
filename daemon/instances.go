package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// nameStores has the stores of the configuration go under the names that this
// node's instances of them have in the database (package holder): its keys are
// these from then on. A database that only this data folder can have knows of no
// other nodes. Where keep is false nothing is written down, and a store that would be
// at home here is taken to be.
func (in *Installation) nameStores(ctx context.Context, cfg *Config, keep bool) error {
	in.instances, in.takes = map[string]string{}, map[string]meta.NodeID{}
	for name := range cfg.Stores {
		in.instances[name] = name
	}
	if !cfg.DB.shared() {
		return nil
	}
	named := map[string]open.Config{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Stores)) {
		sc := cfg.Stores[name]
		if sc.Type == "local" {
			instance, err := in.instanceOf(ctx, name, cfg, keep)
			if err != nil {
				return fmt.Errorf("store %s: %w", name, err)
			}
			in.instances[name] = instance
		}
		named[in.instances[name]] = sc
	}
	cfg.Stores, cfg.DefaultStore = named, in.instances[cfg.DefaultStore]
	homes, err := in.storeHomes(ctx)
	in.homes = homes
	return err
}

// storeHomes are the homes of the local stores, those among them that this node takes
// over and of which the database does not say so yet.
func (in *Installation) storeHomes(ctx context.Context) (map[string]meta.NodeID, error) {
	homes, err := in.DB.StoreHomes(ctx)
	if err != nil {
		return nil, err
	}
	for name := range in.takes {
		homes[name] = in.Node
	}
	return homes, nil
}

// takeHomes writes down which stores this node has taken over, once nothing keeps it
// from having them.
func (in *Installation) takeHomes(ctx context.Context) error {
	for name, from := range in.takes {
		if err := in.DB.MoveStoreHome(ctx, name, from, in.Node); err != nil {
			return err
		}
	}
	clear(in.takes)
	return nil
}

// nodeOf is this node to who keeps bytes, "" where there is no other.
func (c *Config) nodeOf(in *Installation) meta.NodeID {
	if !c.DB.shared() {
		return ""
	}
	return in.Node
}

// instanceOf is the name of this node's folder of a local store. The first that
// opens the store is its home; where something lies in the store already that is
// who has the folder with the store's mark, and nobody else. Whoever is alone on the
// database, as no node that may have held it lives, takes it over with the folder.
func (in *Installation) instanceOf(ctx context.Context, name string, cfg *Config, keep bool) (string, error) {
	joins := cfg.Cluster.on()
	as, marked, err := in.markOf(ctx, name, cfg.Stores[name])
	if err != nil {
		return "", err
	}
	own := holder.Instance(name, in.Node)
	if marked && as == own {
		return own, nil
	}
	if configured, of := holder.Split(as); of != "" && configured == name {
		return "", in.notItsFolder(name, of, cfg)
	}
	homes, err := in.DB.StoreHomes(ctx)
	if err != nil {
		return "", err
	}
	home, fits := homes[name], marked && (as == "" || as == name)
	if home == "" {
		may := fits
		if !marked {
			if may, err = in.untouched(ctx, name); err != nil {
				return "", err
			}
		}
		switch {
		case may && !keep:
			home, in.takes[name] = in.Node, ""
		case may:
			if home, err = in.DB.ClaimStoreHome(ctx, name, in.Node); err != nil {
				return "", err
			}
		case !joins:
			return name, nil // and what is wrong with its mark is told when it is opened
		}
	}
	switch {
	case home == in.Node:
		return name, nil
	case fits && joins:
		return "", in.notItsFolder(name, home, cfg)
	case fits:
		in.takes[name] = home
		return name, nil
	}
	return own, nil
}

// untouched reports whether nothing ever lay in the store.
func (in *Installation) untouched(ctx context.Context, name string) (bool, error) {
	known, err := in.DB.KnownStores(ctx)
	if err != nil {
		return false, err
	}
	use, err := in.DB.StoreUse(ctx, name)
	_, was := known[name]
	return !was && use == meta.StoreUnused, err
}

// markOf is the store's name in the mark of a folder, "" in one of before marks
// had names. Of a folder of another installation opening it tells.
func (in *Installation) markOf(ctx context.Context, name string, sc open.Config) (as string, marked bool, err error) {
	b, err := open.Backend(ctx, sc)
	if err != nil {
		return "", false, err
	}
	st := store.New(name, b, store.Options{})
	defer func() { err = errors.Join(err, st.Close()) }()
	return st.MarkedAs(ctx, in.ServerID)
}

// notItsFolder is the error of a node that is configured with the folder of
// another.
func (in *Installation) notItsFolder(name string, of meta.NodeID, cfg *Config) error {
	return store.NotOurs("the folder %s is marked as that of node %s, and this is node %s; nothing was written; each node of a cluster needs a folder of its own, "+
		"also where several reach one disk: give this one another path for store %s; where the data folder of node %s is lost and this is its disk, "+
		"have this be that node, with all of its disks: write %s into %s and start again, once nothing else runs as that node",
		cfg.Stores[name].Path, of, in.Node, name, of, of, filepath.Join(cfg.Data, nodeFile))
}

// isOthers reports whether a store that the database speaks of is the instance of
// another node.
func (in *Installation) isOthers(name string) bool {
	configured, node := holder.Split(name)
	if node != "" {
		return node != in.Node
	}
	if home := in.homes[configured]; home != "" {
		return home != in.Node
	}
	return in.instances[configured] != "" && in.instances[configured] != name
}

// othersDisk gives the node on whose disk a store is that is not this node's, ""
// where none is known to have it. Others may have come since this one began.
func (in *Installation) othersDisk(ctx context.Context, name string) (meta.NodeID, error) {
	_, node := holder.Split(name)
	if node == "" {
		homes, err := in.storeHomes(ctx)
		if err != nil {
			return "", err
		}
		node = homes[name]
	}
	if node == in.Node {
		return "", nil
	}
	return node, nil
}

// instanceCalled gives the instance that somebody means by a name, and whether
// another node has it: NAME@NODE at the store's home is NAME. What nobody knows it
// gives as it is.
func (in *Installation) instanceCalled(ctx context.Context, name string) (instance string, elsewhere bool, err error) {
	homes, err := in.storeHomes(ctx)
	if err != nil {
		return "", false, err
	}
	if configured, node := holder.Split(name); node != "" && homes[configured] == node {
		name = configured
	}
	if in.Stores[name] != nil {
		return name, false, nil
	}
	all, err := in.elsewhere(ctx)
	_, elsewhere = all[name]
	return name, elsewhere, err
}

// elsewhere gives the stores that are known on the disks of other nodes, by the node.
func (in *Installation) elsewhere(ctx context.Context) (map[string]meta.NodeID, error) {
	known, err := in.DB.KnownStores(ctx)
	if err != nil {
		return nil, err
	}
	homes, err := in.storeHomes(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]meta.NodeID{}
	for name := range known {
		configured, node := holder.Split(name)
		if node == "" {
			node = homes[configured]
		}
		if node != "" && node != in.Node {
			all[name] = node
		}
	}
	return all, nil
}

// disks are the stores that only this node of a cluster reaches; none where there
// are no others.
func (c *Config) disks() map[string]bool {
	if !c.joins {
		return nil
	}
	own := map[string]bool{}
	for name, sc := range c.Stores {
		own[name] = sc.Type == "local"
	}
	return own
}

// checkOthers refuses to be alone on a database that speaks of files on another
// node's disk: none of them could be read.
func (in *Installation) checkOthers(ctx context.Context, name string, alone bool) error {
	if !alone {
		return nil
	}
	use, err := in.DB.StoreUse(ctx, name)
	if err != nil || use != meta.StoreUsed && use != meta.StoreOpen {
		return err
	}
	configured, node := holder.Split(name)
	if node == "" {
		node = in.homes[configured]
	}
	return fmt.Errorf("store %s: files of this installation, or uploads that are open, lie on the disk of node %s, and this is node %s; nothing was changed; "+
		"have both run as a cluster (cluster.peer_listen), or start the daemon with that node's disk and data folder", name, node, in.Node)
}
