package meta

import (
	"context"
	"errors"
)

// HasForeign reports whether the store has objects, or had some lately, that
// were there before ospd knew of them, and whose name begins with prefix: a key
// of theirs begins with an @.
func (db *DB) HasForeign(ctx context.Context, store, prefix string) (has bool, err error) {
	err = db.look(ctx, "look for foreign blobs", func(q query) error {
		text, args := `SELECT 1 FROM blobs WHERE store = ? AND key >= ?`, []any{store, "@" + prefix}
		if end, ok := prefixEnd("@" + prefix); ok {
			text, args = text+` AND key < ?`, append(args, end)
		}
		has, err = q.one(text+` LIMIT 1`, args, new(int))
		return err
	})
	return has, err
}

// foreign reports whether bytes of the content lie in an object that ospd
// neither made nor adopted.
func (q query) foreign(id ContentID) (bool, error) {
	return q.one(`SELECT 1 FROM extents e JOIN blobs b ON b.id = e.blob_id WHERE e.content_id = ? AND b.origin = 'foreign' LIMIT 1`,
		[]any{id}, new(int))
}

// preferOwn gives the live content, whose row it locks, that equals bytes
// which lie in foreign objects and that has none in such itself: files had
// better point to that one. One that is doomed while the lock is waited for is
// none, as for place.
func (t *tx) preferOwn(r received) (id ContentID, found bool, err error) {
	ours := true
	for _, e := range r.extents {
		yes, err := t.one(`SELECT 1 FROM blobs WHERE id = ? AND origin = 'foreign'`, []any{e.Blob}, new(int))
		if err != nil {
			return 0, false, err
		}
		ours = ours && !yes
	}
	if ours {
		return 0, false, nil
	}
	found, err = t.one(`SELECT id FROM contents WHERE digest = ? AND size = ? AND state = 'live' FOR UPDATE`, []any{r.digest[:], r.size}, &id)
	if err != nil || !found {
		return 0, false, err
	}
	foreign, err := t.foreign(id)
	return id, !foreign, err
}

// foreignBlob gives the blob of an object that is not ours, whose row it makes
// or locks: live, and adopted where that is wanted. why says why there can be
// none now: in a store that is closed nobody would move it away any more. The
// caller is db.named. A row that is of no use any more, and in whose name nothing is
// deleted any more, is replaced.
func (t *tx) foreignBlob(o InPlace) (id BlobID, why string, err error) {
	switch err := t.takes(o.Store); {
	case errors.Is(err, ErrStoreClosed):
		return 0, "its store was emptied, or is being emptied, into another one; nothing was made of it; import it as a copy", nil
	case err != nil:
		return 0, "", err
	}
	var state BlobState
	var origin BlobOrigin
	var size int64
	var tag string
	found, err := t.one(`SELECT id, state, origin, size, COALESCE(tag, '') FROM blobs WHERE store = ? AND key = ? FOR UPDATE`, []any{o.Store, o.Key}, &id, &state, &origin, &size, &tag)
	if err != nil {
		return 0, "", err
	}
	over := state == BlobGone || state == BlobDoomed && origin == OriginForeign
	switch {
	case found && over:
		if _, err := t.exec(`DELETE FROM blobs WHERE id = ?`, id); err != nil {
			return 0, "", err
		}
	case found && state == BlobDoomed:
		return 0, "it was adopted before and is being deleted; nothing was made of it; run the import again when it is gone, or under another name", nil
	case found && (size != o.Size || tag != o.Tag):
		return 0, "it has changed since another file was made of it; nothing was made of it; import it as a copy", nil
	case found:
		if o.Adopted && origin == OriginForeign {
			_, err = t.exec(`UPDATE blobs SET origin = 'adopted' WHERE id = ?`, id)
		}
		return id, "", err
	}
	origin = OriginForeign
	if o.Adopted {
		origin = OriginAdopted
	}
	_, err = t.one(`INSERT INTO blobs (store, key, size, state, origin, tag, created_at) VALUES (?, ?, ?, 'live', ?, ?, ?) RETURNING id`,
		[]any{o.Store, o.Key, o.Size, string(origin), nilIfNone(o.Tag), t.now}, &id)
	return id, "", err
}
