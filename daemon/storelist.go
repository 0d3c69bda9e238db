package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/migrate"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/daemon/stores"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// openStores opens every configured store, after it made sure that none is
// missing, and that those are what they were. With patient those that cannot be
// reached now are awaited.
func (in *Installation) openStores(ctx context.Context, cfg Config, patient bool, log *slog.Logger, observe observer) error {
	known, err := in.DB.KnownStores(ctx)
	if err != nil {
		return err
	}
	named, err := in.DB.NamedStores(ctx)
	if err != nil {
		return err
	}
	names := slices.AppendSeq(named, maps.Keys(known))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if in.isOthers(name) {
			err = in.checkOthers(ctx, name, patient && !cfg.Cluster.on())
		} else {
			err = in.checkKnown(ctx, name, known, &cfg)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Stores)) {
		if err := in.openStore(ctx, name, cfg.Stores[name], known, patient, observe); err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
		if note := in.Stores[name].Note(); note != "" {
			log.WarnContext(ctx, "a store does not do all that others do", "store", name, "note", note)
		}
	}
	return nil
}

// checkKnown refuses to go on without a store in which something lies that is
// needed, or is to be deleted, or with another one under its name. What was never
// needed, or is not any more, is forgotten: known has it no more. One that never
// was known, since it was away until it was taken out, has nothing to be deleted.
func (in *Installation) checkKnown(ctx context.Context, name string, known map[string]string, cfg *Config) error {
	sc, ok := cfg.Stores[name]
	was, before := known[name]
	if ok && (was == "" || was == sc.Type) {
		return nil
	}
	use, err := in.DB.StoreUse(ctx, name)
	if err != nil {
		return err
	}
	switch {
	case !ok && name != cfg.forgets:
		return missing(name, use, before, cfg.AbandonAfter)
	case ok && use != meta.StoreUnused:
		return otherType(name, was, sc.Type)
	case ok:
		delete(known, name)
	}
	return nil
}

// missing is why nothing goes on without a store that is not in the
// configuration, nil where all does.
func missing(name string, use meta.StoreUse, known bool, abandonAfter time.Duration) error {
	switch {
	case use == meta.StoreUsed:
		return fmt.Errorf("store %s: it is not in the configuration, and files of this installation lie in it; nothing was changed; "+
			"configure it again, under this name, also where it was only renamed; to do without it, start with it once more and have "+
			"osp admin migrate --from %s --to OTHER move what lies in it", name, name)
	case use == meta.StoreOpen:
		return fmt.Errorf("store %s: it is not in the configuration, and uploads that are open have bytes in it, or write there; nothing was changed; "+
			"configure it again, under this name, also where it was only renamed; where the store is gone for good, ospd gc --forget-store %s "+
			"gives up what lies in it, once those uploads are abandoned, %s (abandon_after) after their last part, or with --end-uploads now", name, name, abandonAfter)
	case use == meta.StoreSwept && known:
		return fmt.Errorf("store %s: it is not in the configuration, and objects that are no longer needed lie in it and are still to be deleted; nothing was changed; "+
			"configure it again until they are, a grace period and a round of the sweep after the migration at most; "+
			"where the store is gone for good, ospd gc --forget-store %s gives them up", name, name)
	}
	return nil
}

// openStore opens a store and makes sure that it is there, and this
// installation's, as it was where it is known.
func (in *Installation) openStore(ctx context.Context, name string, sc open.Config, known map[string]string, patient bool, observe observer) error {
	b, err := open.Backend(ctx, sc)
	if err != nil {
		return err
	}
	st := store.New(name, b, observe(name))
	in.Stores[name] = st
	was, before := known[name]
	c := claim{st: st, kind: sc.Type, before: before, noted: before && was == sc.Type}
	if in.place != nil && patient { // what serves; a check may be of a copy
		c.bucket = meta.NotedBucket{Node: in.Node, Bucket: sc.BucketOf()}
	}
	err = c.reach(ctx, in.ServerID)
	_, files := st.FileOpener()
	switch {
	case err == nil:
		return c.note(ctx, in.DB)
	case ctx.Err() != nil || !store.MayPass(err):
		return err
	case files || !patient:
		return advise(err)
	}
	st.Shut(err)
	in.awaited = append(in.awaited, c)
	return nil
}

// advise says what to do about a store that has to answer and does not.
func advise(err error) error {
	return fmt.Errorf("%w; it cannot be used now: see that it runs and can be reached under what the configuration says, and start again; no file was changed; where nothing lies in it, ospd starts without it once it is taken out of `stores`", err)
}

// placer makes who chooses where new blobs go, with the stores that are closed.
func (c *Config) placer(ctx context.Context, in *Installation, log *slog.Logger) (*placing.Placer, error) {
	p := placing.New(in.DB, in.Stores, c.DefaultStore)
	if err := p.Load(ctx); err != nil {
		return nil, err
	}
	takes := p.Store()
	if takes == nil {
		return nil, fmt.Errorf("default_store %s was migrated to another store, and none in the configuration takes new blobs in its place; nothing was changed; "+
			"configure the other one again, or have default_store name one that takes new blobs", c.DefaultStore)
	}
	if into := takes.Name(); into != c.DefaultStore {
		log.Warn("new blobs go to another store than default_store, since that was migrated to it; osp admin migrate the other way round brings all back",
			"default_store", c.DefaultStore, "store", into)
	}
	return p, nil
}

// migrating makes who moves what lies in one store to another.
func (c *Config) migrating(in *Installation, files *file.Service, place *placing.Placer, busy func() bool, log *slog.Logger) *migrate.Worker {
	m := migrate.Config{
		Meta: in.DB, Read: files, Place: place, Stores: in.Stores, Grace: c.Grace, Logger: log, Disks: c.disks(),
		Pace:   func(rate int64) *pace.Pace { return pace.New(pace.Config{Rate: rate, Busy: busy}) },
		Reach:  func(ctx context.Context, st *store.Store) error { return stores.Reach(ctx, st, in.ServerID) },
		Digest: func(name string) meta.NewJob { return c.digestsOf(in.Node, name) },
	}
	if c.joins {
		m.Instance, m.Instances = in.instanceCalled, in.instances
		m.Lacking = func(ctx context.Context, name string) ([]string, error) { return in.lacking(ctx, c.nodeStore(name)) }
	}
	return migrate.New(m)
}

// digestsOf is the job that finds out the digests of what lies in a store of the
// node's.
func (c *Config) digestsOf(node meta.NodeID, name string) meta.NewJob {
	if c.disks()[name] {
		return digest.JobOn(node)
	}
	return digest.Job()
}

// storeList makes who says how the stores are.
func (c *Config) storeList(in *Installation, log *slog.Logger) *stores.Service {
	types := map[string]string{}
	for name, sc := range c.Stores {
		types[name] = sc.Type
	}
	s := stores.Config{Meta: in.DB, Stores: in.Stores, Types: types, Default: c.DefaultStore, Installation: in.ServerID, Logger: log}
	if c.DB.shared() {
		s.Elsewhere, s.Nodes = in.elsewhere, map[string]meta.NodeID{}
		for name, sc := range c.Stores {
			if sc.Type == "local" {
				s.Nodes[name] = in.Node
			}
		}
	}
	return stores.New(s)
}
