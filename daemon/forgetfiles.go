package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// StoreFiles gives to each the files of an installation that have bytes in a store, in
// the order of their uids, whether its daemons run or not: it opens the database beside
// them, and takes no lock.
func StoreFiles(ctx context.Context, cfg Config, name string, each func(protocol.Owner, protocol.UID) error, log *slog.Logger) (err error) {
	if err := cfg.isUsed(ctx); err != nil {
		return err
	}
	database := cfg.metadata(log)
	database.KeepSchema = true
	db, err := meta.Open(ctx, database)
	if err != nil {
		return at(StageDatabase, err)
	}
	defer func() { err = errors.Join(err, at(StageDatabase, db.Close())) }()
	if err := isKnown(ctx, db, name); err != nil {
		return err
	}
	return at(StageDatabase, db.FilesInStore(ctx, name, each))
}

// filesInTheWay says which files keep a store from being forgotten.
func (in *Installation) filesInTheWay(ctx context.Context, name string) error {
	var which []string
	n := 0
	if err := in.DB.FilesInStore(ctx, name, func(owner protocol.Owner, uid protocol.UID) error {
		if n++; n <= namedInTheWay {
			which = append(which, fmt.Sprintf("%s of %s", uid, owner))
		}
		return nil
	}); err != nil {
		return at(StageDatabase, err)
	}
	if n > namedInTheWay {
		which = append(which, "and others")
	}
	return at(StageStore, fmt.Errorf("store %s: files of this installation lie in it, %d in all: %s; nothing of it was given up; "+
		"configure it again, under this name; where their bytes are lost, delete those files or let them expire, and run this again; --files lists them all", name, n, strings.Join(which, ", ")))
}

// stillAt refuses to forget a store that another node had when it started last, and
// that is not said to be gone from it. A node that was drained before it stopped was
// taken out, which says so.
func (in *Installation) stillAt(ctx context.Context, name string, gone []string) error {
	said, err := in.saidToHave(ctx, name)
	if err != nil {
		return at(StageDatabase, err)
	}
	of, err := in.othersDisk(ctx, name)
	if err != nil {
		return at(StageDatabase, err)
	}
	for _, node := range gone {
		if meta.NodeID(node) != of && !slices.ContainsFunc(said, func(s meta.SaidStore) bool { return s.Node == meta.NodeID(node) }) {
			return at(StageConfig, fmt.Errorf("node %s is not known to have store %s; nothing was done; osp admin nodes lists the nodes", node, name))
		}
	}
	said = slices.DeleteFunc(said, func(s meta.SaidStore) bool { return s.Drained || slices.Contains(gone, string(s.Node)) })
	if len(said) == 0 {
		return nil
	}
	var which, flags []string
	for _, s := range said {
		which, flags = append(which, "node "+string(s.Node)), append(flags, "--gone-from "+string(s.Node))
	}
	return at(StageConfig, fmt.Errorf("store %s is one that %s had in the configuration at its last start; nothing was done; where it is there, leave it; "+
		"where it is gone, since it was taken out of that configuration, or its disk or the node is lost, run this again with %s", name, strings.Join(which, " and "), strings.Join(flags, " ")))
}

// saidToHave is what other nodes said that had a store when they started last: of a
// disk the one whose it is.
func (in *Installation) saidToHave(ctx context.Context, name string) (list []meta.SaidStore, err error) {
	said, err := in.DB.SaidStores(ctx)
	if err != nil {
		return nil, err
	}
	homes, err := in.DB.StoreHomes(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range said {
		instance := s.Name
		if s.Type == "local" && homes[s.Name] != s.Node {
			instance = holder.Instance(s.Name, s.Node)
		}
		if instance == name && s.Node != in.Node {
			list = append(list, s)
		}
	}
	return list, nil
}
