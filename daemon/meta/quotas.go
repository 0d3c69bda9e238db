package meta

import (
	"context"
	"maps"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

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
