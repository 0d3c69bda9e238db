package meta

import (
	"context"
	"maps"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// NoteQuotas notes which configuration of quotas holds now, by a sum of it, and
// gives that of the one before, "" where none was noted.
func (db *DB) NoteQuotas(ctx context.Context, sum string) (before string, err error) {
	err = db.update(ctx, full, "note the quotas", func(t *tx) error {
		before = ""
		if _, err := t.one(`SELECT value FROM settings WHERE name = ?`, []any{settingQuotas}, &before); err != nil {
			return err
		}
		return t.set(settingQuotas, sum)
	})
	return before, err
}

// SetQuotas is SetQuota for each owner given, and gives every other owner
// Config.DefaultQuota again, in one transaction: what an operator took out of
// the configuration holds no longer.
func (db *DB) SetQuotas(ctx context.Context, limits map[protocol.Owner]Quota) error {
	for _, l := range limits {
		if err := l.check(); err != nil {
			return err
		}
	}
	return db.update(ctx, full, "set quotas", func(t *tx) error {
		if _, err := t.exec(`UPDATE quotas SET max_bytes = NULL, max_files = NULL, max_uploads = NULL, own = 0 WHERE own = 1`); err != nil {
			return err
		}
		for _, owner := range slices.Sorted(maps.Keys(limits)) {
			if err := t.setQuota(owner, limits[owner]); err != nil {
				return err
			}
		}
		return nil
	})
}
