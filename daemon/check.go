package daemon

import (
	"context"
	"errors"
	"log/slog"

	"github.com/osproxy/osproxy/daemon/fsck"
	"github.com/osproxy/osproxy/daemon/meta"
)

// Check takes the data folder of a daemon that does not run and checks what is
// in it; with readData every byte. It changes nothing but what opening the
// database changes.
func Check(ctx context.Context, cfg Config, readData bool, log *slog.Logger) (_ fsck.Report, err error) {
	in, err := OpenInstallation(ctx, &cfg, false, log, unobserved)
	if err != nil {
		return fsck.Report{}, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	ctx, ended := in.within(ctx)
	r, err := fsck.Run(ctx, fsck.Config{
		Meta: in.DB, Stores: in.Stores, Others: in.notChecked, ServerID: in.ServerID, BootID: bootID(), ReadData: readData, Grace: cfg.Grace,
	})
	return r, ended(err)
}

// notChecked are the stores on the disks of other nodes, of those that have a place
// still and were not drained, or in which something lies.
func (in *Installation) notChecked(ctx context.Context) (map[string]fsck.Other, error) {
	nodes, err := in.DB.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	addresses := map[meta.NodeID]string{}
	out := map[meta.NodeID]bool{}
	for _, n := range nodes {
		addresses[n.ID], out[n.ID] = n.Address, n.Draining
	}
	all := map[string]fsck.Other{}
	known, err := in.elsewhere(ctx)
	if err != nil {
		return nil, err
	}
	for name, node := range known {
		if at, stands := addresses[node]; stands && !out[node] {
			all[name] = fsck.Other{Node: node, Address: at}
		}
	}
	used, err := in.DB.NamedStores(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range used {
		node, err := in.othersDisk(ctx, name)
		if err != nil {
			return nil, err
		}
		if node != "" && in.Stores[name] == nil {
			all[name] = fsck.Other{Node: node, Address: addresses[node]}
		}
	}
	return all, nil
}
