package meta

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/osproxy/osproxy/protocol"
)

// migrate brings the schema to the newest version this program knows. Each
// migration is a transaction: one that was interrupted starts again, and of two
// processes that run it the second fails, and goes on where the first ended.
func migrate(ctx context.Context, d dialect, db *sql.DB) error {
	for last := int64(-1); ; {
		found, err := migrateFrom(ctx, d, db)
		if err == nil || ctx.Err() != nil || found <= last {
			return err
		}
		last = found
	}
}

// migrateFrom migrates from the version it found, which it gives.
func migrateFrom(ctx context.Context, d dialect, db *sql.DB) (found int64, err error) {
	files, err := d.migrations()
	if err != nil {
		return 0, err
	}
	p, err := goose.NewProvider(d.goose, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return 0, err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return 0, err
	}
	if current > target {
		return current, &protocol.Error{Kind: protocol.KindInternal,
			Message: fmt.Sprintf("the database has schema version %d, this ospd knows only %d; nothing was changed", current, target),
			Hint:    "Start the newer ospd that made it, or restore a backup from before the upgrade."}
	}
	_, err = p.Up(ctx)
	return current, err
}
