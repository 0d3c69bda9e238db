package meta

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/protocol"
)

// raiseFloor has uids be minted above one that was given by somebody else.
func (t *tx) raiseFloor(uid protocol.UID) error {
	if uid == 0 {
		return nil
	}
	_, err := t.counter(settingUIDFloor, func(old int64) int64 { return max(old, int64(uid)>>(workerBits+sequenceBits)) })
	return err
}

// floor is the time of the last uid that was given by somebody else, 0 without.
func (q query) floor() (milli int64, err error) {
	_, err = q.one(`SELECT CAST(value AS BIGINT) FROM settings WHERE name = ?`, []any{settingUIDFloor}, &milli)
	if err != nil {
		err = fmt.Errorf("read the setting %s: %w", settingUIDFloor, err)
	}
	return milli, err
}

// RaiseUIDFloor has uids that are minted from the next reservation on lie above
// one that somebody else gave, whether its file is inherited or not.
func (db *DB) RaiseUIDFloor(ctx context.Context, uid protocol.UID) error {
	return db.update(ctx, full, "raise the floor of uids", func(t *tx) error { return t.raiseFloor(uid) })
}
