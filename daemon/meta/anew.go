package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// BeginAnew has an open upload of which nothing is recorded be sent as n says,
// in chunks or not: layout, part size and the blob it is assembled in are n's.
// All that is being written for it is doomed, so that no request which began
// before records in it what it was not begun for. What is known of the file, its
// home, and what the owner's quota was charged, stay. It is KindConflict where a part is
// recorded, and where the upload is sent as n says already or began with a size;
// one that is committed is KindCommitted, any other that is not open
// KindNotFound. A store that is closed is ErrStoreClosed. Nothing is changed on
// any error.
func (db *DB) BeginAnew(ctx context.Context, n NewUpload) error {
	return db.named(ctx, "begin an upload anew", func(t *tx) error {
		u, err := t.lockOpen(n.Owner, n.UID)
		if err != nil {
			return err
		}
		held, err := t.one(`SELECT 1 FROM parts WHERE uid = ? LIMIT 1`, []any{int64(n.UID)}, new(int))
		if err != nil {
			return err
		}
		if held || u.size.Valid || u.chunks == n.Chunks {
			return &protocol.Error{Kind: protocol.KindConflict, UID: n.UID, Message: "the upload goes on as it was begun; nothing was changed"}
		}
		old, err := t.blobsOf(u)
		if err != nil {
			return err
		}
		blob, err := t.nameInPlace(n)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE uploads SET layout = ?, part_size = ?, blob_id = ?, md5_next = 1, md5_state = NULL WHERE uid = ?`,
			layoutOf(n), n.PartSize, (*int64)(blob), int64(n.UID)); err != nil {
			return err
		}
		if _, err := t.change(u); err != nil {
			return err
		}
		if err := t.touch(n.UID); err != nil {
			return err
		}
		return t.doom(old)
	})
}
