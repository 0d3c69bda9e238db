package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// EaseUpload gives back to the owner's quota what ReserveUpload charged for an
// open upload that began without a size, and what did not come: it stays charged
// for what is recorded and what is coming still. That is, of chunks, their bytes,
// and of parts the end of the last one. An upload that is charged no more than
// that, began with a size or is not open stays as it is.
func (db *DB) EaseUpload(ctx context.Context, owner protocol.Owner, uid protocol.UID, coming int64) error {
	return db.update(ctx, kept, "ease an upload", func(t *tx) error {
		u, err := t.lockOpen(owner, uid)
		if k := protocol.KindOf(err); k == protocol.KindCommitted || k == protocol.KindNotFound {
			return nil
		}
		if err != nil || u.size.Valid {
			return err
		}
		needed, err := t.needed(u, coming)
		if err != nil || needed >= u.reserved {
			return err
		}
		if _, err := t.exec(`UPDATE uploads SET reserved = ? WHERE uid = ?`, needed, int64(uid)); err != nil {
			return err
		}
		return t.release(map[protocol.Owner]Usage{owner: {Bytes: u.reserved - needed}})
	})
}

// needed is how much an upload without a size is to be charged for.
func (t *tx) needed(u openUpload, coming int64) (n int64, err error) {
	if u.chunks {
		_, err = t.one(`SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) FROM parts WHERE uid = ?`, []any{int64(u.uid)}, &n)
		return n + coming, err
	}
	_, err = t.one(`SELECT COALESCE(MAX(part_offset + length), 0) FROM parts WHERE uid = ?`, []any{int64(u.uid)}, &n)
	return max(n, coming), err
}
