package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/gofrs/flock"

	"github.com/osproxy/osproxy/daemon/meta"
)

// CopyMetadata takes the data folder of a daemon that does not run and moves
// its metadata from SQLite to a Postgres database: see meta.DB.CopyTo. The
// schema of the SQLite database is brought up to date before.
//
// progress is told of each table: how many rows were copied, and later that
// they were read back and are the same.
func CopyMetadata(ctx context.Context, cfg Config, to Database, log *slog.Logger, progress func(table string, rows int64, verified bool)) (err error) {
	if !to.shared() {
		return at(StageConfig, errors.New("there is nowhere to copy to: say the address of a Postgres database, postgres://user:password@host:port/name"))
	}
	if err := meta.CheckURL(*to.address); err != nil {
		return at(StageConfig, err)
	}
	db, lock, err := cfg.openMoved(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(), lock.Unlock()) }()
	node, err := nodeID(cfg.Data)
	if err != nil {
		return at(StageLock, err)
	}
	homes, err := cfg.homesOf(ctx, db, node)
	if err != nil {
		return err
	}
	_, err = db.CopyTo(ctx, meta.CopyConfig{URL: *to.address, Homes: homes, Node: node, Progress: func(t meta.CopiedTable, verified bool) { progress(t.Name, t.Rows, verified) }})
	return at(StageDatabase, err)
}

// homesOf are the homes of the local stores that the data folder's daemon has used: the
// node that it is from now on.
func (c *Config) homesOf(ctx context.Context, db *meta.DB, node meta.NodeID) (map[string]meta.NodeID, error) {
	known, err := db.KnownStores(ctx)
	if err != nil {
		return nil, at(StageDatabase, err)
	}
	homes := map[string]meta.NodeID{}
	for name, kind := range known {
		if kind == "local" || kind == "" && c.Stores[name].Type == "local" {
			homes[name] = node
		}
	}
	return homes, nil
}

// TakeMetadataBack has a data folder whose metadata was moved, and whose daemon
// does not run, served from SQLite again. It gives the name of the database that
// the metadata was moved to. While the configuration names a shared database it
// refuses: the next start would be on that, and both could be used.
func TakeMetadataBack(ctx context.Context, cfg Config, log *slog.Logger) (from string, err error) {
	if cfg.DB.shared() {
		return "", at(StageConfig, errors.New("the configuration names a Postgres database, from which ospd would go on to be served; nothing was changed; "+
			"say db: sqlite there (and nothing else by OSPD_DB or --db), and take the metadata back then"))
	}
	db, lock, err := cfg.openMoved(ctx, log)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close(), lock.Unlock()) }()
	if from, err = db.MovedTo(ctx); err == nil && from == "" {
		err = errors.New("the metadata was not moved, and is served from meta.db already; nothing was changed")
	}
	if err == nil {
		err = db.TakeBack(ctx)
	}
	return from, at(StageDatabase, err)
}

// openMoved opens the SQLite database of a data folder that this process has
// for itself, also where its metadata was moved.
func (c *Config) openMoved(ctx context.Context, log *slog.Logger) (*meta.DB, *flock.Flock, error) {
	// It is not asked by what db: says: that may be where the metadata goes.
	if _, err := os.Stat(c.databasePath()); err != nil {
		return nil, nil, at(StageDatabase, fmt.Errorf("%s: %w: %w", c.Data, errUnused, err))
	}
	lock, err := lockData(c.Data)
	if err != nil {
		return nil, nil, at(StageLock, err)
	}
	db, err := meta.Open(ctx, meta.Config{Path: c.databasePath(), Logger: log, Moved: true})
	if err != nil {
		return nil, nil, errors.Join(at(StageDatabase, err), lock.Unlock())
	}
	return db, lock, nil
}
