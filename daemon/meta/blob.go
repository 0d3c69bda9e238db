package meta

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// The owners a writing blob can have.
const (
	ownerUpload  = "upload"
	ownerRequest = "request"
	ownerJob     = "job"
)

// BlobsIn gives the state of every blob of a store whose key begins with
// keyPrefix, by key. Tombstones (gone) are among them.
func (db *DB) BlobsIn(ctx context.Context, store, keyPrefix string) (blobs map[string]BlobState, err error) {
	err = db.look(ctx, "list blobs", func(q query) error {
		blobs = map[string]BlobState{}
		text, args := `SELECT key, state FROM blobs WHERE store = ? AND key >= ?`, []any{store, keyPrefix}
		if end, ok := prefixEnd(keyPrefix); ok {
			text, args = text+` AND key < ?`, append(args, end)
		}
		return q.each(text, args, func(scan scanFunc) error {
			var key string
			var state BlobState
			err := scan(&key, &state)
			blobs[key] = state
			return err
		})
	})
	return blobs, err
}

// prefixEnd is the least text that is greater than all that begin with p, in
// the order of code points, which is the order of their bytes.
func prefixEnd(p string) (string, bool) {
	runes := []rune(p)
	for len(runes) > 0 {
		last := &runes[len(runes)-1]
		switch {
		case *last == 0xD7FF:
			*last = 0xE000 // what lies between are no characters
		case *last < 0x10FFFF:
			*last++
		default:
			runes = runes[:len(runes)-1]
			continue
		}
		return string(runes), true
	}
	return "", false
}

// AddBlob makes the row of a blob that is about to be written for an open
// upload, or, with uid 0, for a request that ends in PutFile. The row is on the
// disk when AddBlob returns, so that the object may be made. An upload that is
// committed is KindCommitted, any other that is not open KindNotFound. A store
// that is closed is ErrStoreClosed.
func (db *DB) AddBlob(ctx context.Context, b NewBlob, upload protocol.UID) (id BlobID, err error) {
	err = db.named(ctx, "add a blob", func(t *tx) error {
		kind := ownerRequest
		if upload != 0 {
			kind = ownerUpload
			if _, err := t.lockOpen(anyOwner, upload); err != nil {
				return err
			}
		}
		id, err = t.nameBlob(b, kind, int64(upload))
		return err
	})
	return id, err
}

// nameBlob makes the row of a blob that is to be written. The caller is db.named.
func (t *tx) nameBlob(b NewBlob, ownerKind string, owner int64) (id BlobID, err error) {
	if err := t.takes(b.Store); err != nil {
		return 0, err
	}
	return t.addBlob(b, ownerKind, owner)
}

// addBlob is nameBlob in a store of which the caller knows that it may be there.
func (t *tx) addBlob(b NewBlob, ownerKind string, owner int64) (id BlobID, err error) {
	_, err = t.one(`INSERT INTO blobs (store, key, size, state, owner_kind, owner_id, created_at)
		VALUES (?, ?, ?, 'writing', ?, ?, ?) RETURNING id`,
		[]any{b.Store, b.Key, b.Size, ownerKind, owner, t.now}, &id)
	return id, err
}

// DropBlob says that a blob's writer gave it up: it is doomed, unless
// something refers to it. A blob that is doomed already, or is unknown, is no
// error.
func (db *DB) DropBlob(ctx context.Context, id BlobID) error {
	return db.update(ctx, full, "drop a blob", func(t *tx) error { return t.doom([]BlobID{id}) })
}

// DropUnseen is DropBlob; unseen is true where the blob was never live, and is
// doomed by this: nobody was shown it, nor will be, so that its object may be
// deleted at once, without the grace that readers are given; then MarkGone.
func (db *DB) DropUnseen(ctx context.Context, id BlobID) (unseen bool, err error) {
	err = db.update(ctx, full, "drop a blob", func(t *tx) error {
		var was BlobState
		n, err := t.doomIf([]BlobID{id}, func(_ BlobID, state BlobState) (bool, error) {
			was = state
			return true, nil
		})
		unseen = n > 0 && was == BlobWriting
		return err
	})
	return unseen && err == nil, err
}

// OverlongBlobs lists up to limit blobs of the store, from the one after the
// given on (0: from the first), whose object may have bytes beyond the blob's
// size: once nobody writes to it any more it is to be cut, and then MarkCut.
func (db *DB) OverlongBlobs(ctx context.Context, store string, after BlobID, limit int) ([]Blob, error) {
	return db.overlong(ctx, `AND store = ? AND id > ? ORDER BY id LIMIT ?`, store, after, limit)
}

// Overlong gives the blob if it is one of OverlongBlobs; else nil.
func (db *DB) Overlong(ctx context.Context, id BlobID) (*Blob, error) {
	list, err := db.overlong(ctx, `AND id = ?`, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func (db *DB) overlong(ctx context.Context, where string, args ...any) (list []Blob, err error) {
	err = db.look(ctx, "find overlong blobs", func(q query) error {
		list = nil
		return q.each(blobColumns+`WHERE overlong = 1 AND state = 'live' `+where, args, func(scan scanFunc) error {
			b, err := scanBlob(scan)
			list = append(list, b)
			return err
		})
	})
	return list, err
}

// MarkCut notes that the blob's object is no longer than its size. A power cut
// may undo it; then it is cut, to no effect, again.
func (db *DB) MarkCut(ctx context.Context, id BlobID) error {
	return db.update(ctx, relaxed, "mark a blob cut", func(t *tx) error {
		_, err := t.exec(`UPDATE blobs SET overlong = 0 WHERE id = ?`, id)
		return err
	})
}

// publish makes a blob live, or says that it cannot be referred to any more.
// end is how far its bytes are used.
func (t *tx) publish(id BlobID, end int64) error {
	n, err := t.exec(`UPDATE blobs SET state = 'live', compose_id = NULL, size = CASE WHEN size < ? THEN ? ELSE size END
		WHERE id = ? AND state IN ('writing', 'live')`, end, end, id)
	if err == nil && n == 0 {
		err = lostBytes()
	}
	return err
}

// offer marks blobs that the transaction stopped using, for the sweep to doom
// those that nothing else refers to. One that is marked already gets another
// time, which is later whatever the clock says: a sweep that does not see yet
// that the blob is used no more is to leave this mark (see DoomOffered).
func (t *tx) offer(blobs []BlobID) error {
	for _, id := range inOrder(blobs) {
		if _, err := t.exec(`INSERT INTO sweep_candidates (blob_id, offered_at)
			SELECT id, CAST(? AS BIGINT) FROM blobs WHERE id = ? AND state IN ('writing', 'live')
			ON CONFLICT (blob_id) DO UPDATE SET offered_at = CASE WHEN excluded.offered_at > sweep_candidates.offered_at
				THEN excluded.offered_at ELSE sweep_candidates.offered_at + 1 END`, t.now, id); err != nil {
			return err
		}
	}
	return nil
}

// doom dooms those of the blobs to which nothing refers. Each row is locked
// first and its references are counted in later statements: whoever adopts a
// blob locks the row too, so that the count cannot miss him.
func (t *tx) doom(blobs []BlobID) error {
	_, err := t.doomIf(blobs, func(BlobID, BlobState) (bool, error) { return true, nil })
	return err
}

// doomIf is doom for those of which may holds once their row is locked; n is
// how many were doomed.
func (t *tx) doomIf(blobs []BlobID, may func(BlobID, BlobState) (bool, error)) (n int, err error) {
	for _, id := range inOrder(blobs) {
		var state BlobState
		if _, err := t.one(`SELECT state FROM blobs WHERE id = ? FOR UPDATE`, []any{id}, &state); err != nil {
			return n, err
		}
		if state != BlobWriting && state != BlobLive {
			continue
		}
		if ok, err := may(id, state); err != nil || !ok {
			if err != nil {
				return n, err
			}
			continue
		}
		if used, err := t.blobUsed(id); err != nil || used {
			if err != nil {
				return n, err
			}
			continue
		}
		if _, err := t.exec(`UPDATE blobs SET state = 'doomed', doomed_at = ? WHERE id = ?`, t.now, id); err != nil {
			return n, err
		}
		if _, err := t.exec(`DELETE FROM sweep_candidates WHERE blob_id = ?`, id); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// blobUsed reports whether an extent, a part or an open upload refers to the
// blob.
func (q query) blobUsed(id BlobID) (used bool, err error) {
	for _, text := range [...]string{
		`SELECT 1 FROM extents WHERE blob_id = ? LIMIT 1`,
		`SELECT 1 FROM parts WHERE blob_id = ? LIMIT 1`,
		`SELECT 1 FROM uploads WHERE blob_id = ? LIMIT 1`,
	} {
		if used, err = q.one(text, []any{id}, new(int)); used || err != nil {
			return used, err
		}
	}
	return false, nil
}

// inOrder sorts and dedupes, so that transactions lock blobs in one order.
func inOrder(blobs []BlobID) []BlobID {
	list := slices.Clone(blobs)
	slices.Sort(list)
	return slices.Compact(list)
}
