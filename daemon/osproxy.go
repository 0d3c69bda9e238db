package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/predecessor"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// OsproxyImport is what is imported of osproxy, and how.
type OsproxyImport struct {
	// From is osproxy's database.
	From Database
	// Stores are where its objects lie: BUCKET=NAME for the store that is one of
	// its buckets, NAME for the one that has all others.
	Stores []string
	// Owner is whose the Files are; "" is he to whom version 0 of the API gives
	// them without a token, else local.
	Owner protocol.Owner
	// IgnoreMD5 has osproxy's MD5s not be taken over; see predecessor.Config.
	IgnoreMD5 bool
	// DryRun has everything be looked at and nothing be changed.
	DryRun bool
	// Tell is told of rows, Progress how far it is; see predecessor.Config.
	Tell     func(predecessor.Row) error
	Progress func(predecessor.Summary)
}

// ImportOsproxy makes Files of what osproxy kept, with its uids, in the
// installation of a daemon that does not run: uids that are given from then on
// lie above those. Digest jobs are due when it starts. A dry run changes nothing,
// not even the stores' marks, and may be beside a running daemon.
func ImportOsproxy(ctx context.Context, cfg Config, o OsproxyImport, log *slog.Logger) (sum predecessor.Summary, err error) {
	o.Owner = o.ownerOf(cfg)
	names, err := o.check(&cfg)
	if err != nil {
		return sum, at(StageConfig, err)
	}
	src, err := predecessor.Open(ctx, *o.From.address)
	if err != nil {
		return sum, at(StageDatabase, err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if o.DryRun {
		return o.dry(ctx, cfg, names, src, log)
	}
	configured := cfg
	in, err := OpenInstallation(ctx, &cfg, true, log, unobserved)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	ctx, ended := in.within(ctx)
	// What an operator raised for this import holds at once, and not only from the
	// daemon's next start.
	if err := in.DB.SetQuotas(ctx, cfg.Quotas.owners()); err != nil {
		return sum, ended(at(StageDatabase, err))
	}
	stores := map[string]*store.Store{}
	for _, name := range names {
		stores[name] = in.Stores[in.instances[name]]
	}
	sum, err = o.run(ctx, configured, in.DB, stores, names, src)
	if err == nil && sum.Imported+sum.Updated > 0 {
		_, _, err = in.DB.Enqueue(ctx, digest.Job())
	}
	return sum, ended(err)
}

// dry is a dry run. An installation that there is not yet has no files.
func (o OsproxyImport) dry(ctx context.Context, cfg Config, names []string, src *predecessor.Source, log *slog.Logger) (sum predecessor.Summary, err error) {
	var records predecessor.Records = noRecords{}
	installation, instances := "not there yet", map[string]string{}
	switch used := cfg.isUsed(ctx); {
	case used == nil:
		database := cfg.metadata(log)
		database.KeepSchema = true
		db, oerr := meta.Open(ctx, database)
		if oerr != nil {
			return sum, at(StageDatabase, oerr)
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		if installation, err = db.ServerID(ctx); err != nil {
			return sum, at(StageDatabase, err)
		}
		if instances, err = cfg.seenInstances(ctx, db, installation); err != nil {
			return sum, at(StageStore, err)
		}
		records = db
	case !errors.Is(used, errUnused):
		return sum, used
	}
	stores := map[string]*store.Store{}
	defer func() {
		for _, st := range stores {
			err = errors.Join(err, st.Close())
		}
	}()
	for _, name := range names {
		b, err := open.Backend(ctx, cfg.Stores[name])
		if err != nil {
			return sum, at(StageStore, fmt.Errorf("store %s: %w", name, err))
		}
		stores[name] = store.New(cmp.Or(instances[name], name), b, store.Options{})
		if err := foretellMark(ctx, stores[name], cfg.Stores[name], installation); err != nil {
			return sum, at(StageStore, err)
		}
	}
	return o.run(ctx, cfg, records, stores, names, src)
}

// seenInstances are the names that the stores of the configuration have in the
// database, without a word of them written down.
func (c Config) seenInstances(ctx context.Context, db *meta.DB, installation string) (_ map[string]string, err error) {
	in := &Installation{DB: db, ServerID: installation}
	switch _, none := os.Stat(filepath.Join(c.Data, nodeFile)); {
	case none == nil:
		if in.Node, err = nodeID(c.Data); err != nil {
			return nil, err
		}
	case !errors.Is(none, fs.ErrNotExist):
		return nil, none
	}
	err = in.nameStores(ctx, &c, false)
	return in.instances, err
}

// foretellMark is the error of an import that may not put its mark into a store,
// as far as that is seen without putting one.
func foretellMark(ctx context.Context, st *store.Store, c open.Config, installation string) error {
	marked, err := st.Judge(ctx, installation)
	if err != nil || marked || c.Type != "local" {
		return err
	}
	const writeAndSearch = 2 | 1
	if err := syscall.Access(c.Path, writeAndSearch); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store %s: ospd has to put its mark, the file STORE, into %s, and this user may not: %w; nothing was changed, and the import would end here; let the daemon's user write there", st.Name(), c.Path, err)
	}
	return nil
}

// noRecords are those of an installation in which there is nothing.
type noRecords struct{ predecessor.Records }

func (noRecords) Usage(context.Context, protocol.Owner) (u meta.Usage, err error) { return u, nil }

func (noRecords) InheritedAlready(context.Context, []meta.Inherited) (map[protocol.UID]meta.InheritedAs, error) {
	return nil, nil
}

// ownerOf is whose the Files are.
func (o OsproxyImport) ownerOf(cfg Config) protocol.Owner {
	return cmp.Or(o.Owner, cfg.V0Access.Owner, protocol.OwnerLocal)
}

// check says what is wrong, and gives the names of the stores.
func (o OsproxyImport) check(cfg *Config) (names []string, err error) {
	if !o.From.shared() {
		return nil, errors.New("there is nothing to import from: say the address of osproxy's database, postgres://user:password@host:port/name")
	}
	if err := meta.CheckURL(*o.From.address); err != nil {
		return nil, fmt.Errorf("osproxy's database: %w", err)
	}
	if err := protocol.CheckOwner(o.Owner); err != nil {
		return nil, err
	}
	if len(o.Stores) == 0 {
		return nil, errors.New("nobody said where osproxy's objects lie: name a store of the configuration")
	}
	given := map[string]bool{}
	for _, text := range o.Stores {
		bucket, name := parseBucket(text)
		if _, ok := cfg.Stores[name]; !ok {
			return nil, fmt.Errorf("there is no store %q in the configuration; there are %s", name, strings.Join(slices.Sorted(maps.Keys(cfg.Stores)), ", "))
		}
		if given[bucket] {
			return nil, fmt.Errorf("two stores are named for the same: %q is the second; name one store for all of osproxy's buckets, or one for each (BUCKET=NAME)", text)
		}
		given[bucket] = true
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// parseBucket reads BUCKET=NAME, or NAME, which is for no bucket alone.
func parseBucket(text string) (bucket, name string) {
	if bucket, name, found := strings.Cut(text, "="); found {
		return bucket, name
	}
	return "", text
}

// places are where osproxy's buckets are.
func (o OsproxyImport) places(cfg Config, stores map[string]*store.Store) predecessor.Places {
	buckets := map[string]predecessor.Place{}
	var rest *predecessor.Place
	others := cfg.others()
	for _, text := range o.Stores {
		bucket, name := parseBucket(text)
		p := predecessor.Place{Store: stores[name], Folder: cfg.Stores[name].Type == "local", Others: others[name]}
		if bucket == "" {
			rest = &p
		} else {
			buckets[bucket] = p
		}
	}
	return predecessor.NewPlaces(buckets, rest)
}

// run imports, once all stores have answered.
func (o OsproxyImport) run(ctx context.Context, cfg Config, records predecessor.Records, stores map[string]*store.Store, names []string, src *predecessor.Source) (sum predecessor.Summary, err error) {
	for _, name := range names {
		if err := stores[name].Check(ctx); err != nil {
			return sum, at(StageStore, fmt.Errorf("store %s: %w", name, err))
		}
	}
	sum, err = predecessor.Run(ctx, src, predecessor.Config{
		Meta: records, Owner: o.Owner, Quota: cfg.Quotas.of(o.Owner), Places: o.places(cfg, stores), IgnoreMD5: o.IgnoreMD5, DryRun: o.DryRun, Tell: o.Tell, Progress: o.Progress,
	})
	_, away := errors.AsType[*predecessor.StoreError](err)
	_, untold := errors.AsType[*predecessor.TellError](err)
	switch {
	case away:
		return sum, at(StageStore, err)
	case untold, ctx.Err() != nil, protocol.KindOf(err) == protocol.KindQuotaExceeded:
		return sum, err
	}
	return sum, at(StageDatabase, err)
}
