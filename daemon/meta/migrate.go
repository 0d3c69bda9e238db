package meta

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// startPatience is the patience of a dialect, but in tests: SQLite itself
	// does not wait for all that others do, the switch to its write-ahead log
	// among it.
	startPatience = 10 * time.Second
	startPause    = 20 * time.Millisecond
	// startPauseMost is the longest pause from one look for a database that
	// cannot be reached to the next.
	startPauseMost = time.Second
)

// keepSchema is why the schema is to stay as it is, "" where it is not.
func (c Config) keepSchema() string {
	if c.KeepSchema {
		return olderRuns
	}
	return ""
}

// patiently tries for the dialect's patience while somebody else holds the database, or
// it cannot be reached yet: the machine may have just started.
func patiently(ctx context.Context, d dialect, migrate func() error) error {
	until := time.Now().Add(d.patience)
	for pause := startPause; ; {
		err := migrate()
		class := d.classify(err)
		if err == nil || class != failedBusy && class != failedAway || time.Now().After(until) {
			return err
		}
		if class == failedAway {
			pause = min(2*pause, startPauseMost)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// olderRuns is why KeepSchema keeps a schema.
const olderRuns = "an older ospd may be running on it; start the new ospd first, which brings it up to date"

// migrate brings the schema to the newest version this program knows, or where
// keep says why not, makes one where there is none and refuses an older one. Each migration
// is a transaction: one that was interrupted starts again, and of two processes
// that run it the second fails, and goes on where the first ended. before, if
// given, runs before a schema is changed that was in use.
func migrate(ctx context.Context, d dialect, db *sql.DB, keep string, before func() error) error {
	for last := int64(-1); ; {
		found, made, err := migrateFrom(ctx, d, db, keep, before)
		if err == nil || ctx.Err() != nil || found <= last {
			return err
		}
		last = found
		if made {
			keep = "" // two may make one database at once
		}
	}
}

// migrateFrom migrates from the version it found, which it gives; made says
// that there was no schema.
func migrateFrom(ctx context.Context, d dialect, db *sql.DB, keep string, before func() error) (found int64, made bool, err error) {
	files, err := d.migrations()
	if err != nil {
		return 0, false, err
	}
	p, err := goose.NewProvider(d.goose, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return 0, false, err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return 0, false, err
	}
	if current > target {
		return current, false, &protocol.Error{Kind: protocol.KindInternal,
			Message: fmt.Sprintf("the database has schema version %d, this ospd knows only %d; nothing was changed", current, target),
			Hint:    "Start the newer ospd that made it, or restore a backup from before the upgrade."}
	}
	if keep != "" && current > 0 && current < target {
		return current, false, &protocol.Error{Kind: protocol.KindUnavailable,
			Message: fmt.Sprintf("the database has schema version %d, this ospd's is %d, and %s; nothing was changed", current, target, keep)}
	}
	if before != nil && current > 0 && current < target {
		if err := before(); err != nil {
			return current, false, err
		}
	}
	_, err = p.Up(ctx)
	return current, current == 0, err
}
