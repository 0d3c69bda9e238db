package meta

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TouchUpload notes that a part request began, which puts off the end of an
// upload that nobody sends to. A power cut may undo it.
func (db *DB) TouchUpload(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	return db.update(ctx, relaxed, "touch an upload", func(t *tx) error {
		if _, err := t.lockOpen(owner, uid); err != nil {
			return err
		}
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE uploads SET touched_at = ? WHERE uid = ?`, now, int64(uid))
		return err
	})
}

// KeepTouched notes of uploads how long ago a part request of each was under way
// last, for other processes to see that it is sent to. What a power cut takes
// back is noted again.
func (db *DB) KeepTouched(ctx context.Context, ago map[protocol.UID]time.Duration) error {
	return db.update(ctx, relaxed, "tell of uploads that are sent to", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		for _, uid := range slices.Sorted(maps.Keys(ago)) {
			at := now - ago[uid].Milliseconds()
			if _, err := t.exec(`UPDATE uploads SET touched_at = ? WHERE uid = ? AND open = 1 AND touched_at < ?`, at, int64(uid), at); err != nil {
				return err
			}
		}
		return nil
	})
}
