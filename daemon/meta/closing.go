package meta

import "context"

// CloseStore has new blobs that were to go to a store go to another one, which
// is closed no more, until it is the other one of a CloseStore itself. Stores
// that were closed for the first are closed for the other one. Once CloseStore
// has returned, nobody names a blob in the store, but for what AddJoinedBlob joins
// of what lies there: whoever does is told ErrStoreClosed, and whoever did before has a row there. Who chooses stores has
// to be told.
func (db *DB) CloseStore(ctx context.Context, from, to string) error {
	closed, err := db.ClosedStores(ctx)
	if err != nil {
		return err
	}
	if _, open := closed[to]; closed[from] == to && !open {
		return nil
	}
	return db.unnamed(ctx, "close a store", func(t *tx) error { return t.closeStore(from, to) })
}

// closeStore is CloseStore. The caller is db.unnamed.
func (t *tx) closeStore(from, to string) error {
	end, _ := prefixEnd(settingStoreClosed(""))
	if _, err := t.exec(`UPDATE settings SET value = ? WHERE value = ? AND name >= ? AND name < ?`, to, from, settingStoreClosed(""), end); err != nil {
		return err
	}
	if err := t.set(settingStoreClosed(from), to); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM settings WHERE name = ?`, settingStoreClosed(to))
	return err
}

// takes is ErrStoreClosed where new blobs go to another store.
func (t *tx) takes(store string) error {
	closed, err := t.one(`SELECT value FROM settings WHERE name = ?`, []any{settingStoreClosed(store)}, new(string))
	if err == nil && closed {
		err = storeClosed()
	}
	return err
}

// WritingInStore counts the blobs that somebody writes in the store, but those
// of open uploads, which OpenInStore counts.
func (db *DB) WritingInStore(ctx context.Context, store string) (n int64, err error) {
	err = db.look(ctx, "count what is written in a store", func(q query) error {
		_, err := q.one(`SELECT COUNT(*) FROM blobs b WHERE state = 'writing' AND owner_kind IN ('request', 'job', 'upload') AND store = ?
			AND NOT EXISTS (SELECT 1 FROM uploads u WHERE b.owner_kind = 'upload' AND u.uid = b.owner_id AND u.open = 1)`, []any{store}, &n)
		return err
	})
	return n, err
}
