package meta

import (
	"errors"
	"strconv"
)

// inheritAnew has a file that was inherited be that of other objects, or of the
// same ones as they are now. What it was is let go of as by a deletion; its name
// and what else was said of it here stay.
func (t *tx) inheritAnew(f Inherited, as InheritedAs) (r InheritResult, d Usage, err error) {
	if _, err := t.lockRow(f.UID); err != nil {
		return r, d, err
	}
	if !as.Foreign {
		return InheritResult{InheritRefused, "its bytes lie in objects of ospd's by now; nothing was changed"}, d, nil
	}
	for _, o := range f.Objects {
		if why, err := t.heldByOthers(f, o); why != "" || err != nil {
			return InheritResult{InheritRefused, why}, d, err
		}
	}
	if err := t.abandon(f, as.content); err != nil {
		return r, d, err
	}
	content, known, why, err := t.inheritContent(f)
	if err == nil && why != "" {
		err = broken("what objects of file "+f.UID.String()+" are was looked at, and changed within the transaction: "+why, nil)
	}
	if err != nil {
		return r, d, err
	}
	if err := t.sayNothing(f.UID); err != nil {
		return r, d, err
	}
	// Other bytes have another ETag.
	etag := `"u` + f.UID.String() + "." + strconv.FormatInt(int64(content), 10) + `"`
	return InheritResult{Outcome: InheritUpdated}, Usage{Bytes: f.Size() - as.Size}, t.pointInherited(f, content, known, etag)
}

// unsay has a file be what its bytes are, whatever was said of them.
func (t *tx) unsay(f Inherited) (r InheritResult, d Usage, err error) {
	if _, err := t.lockRow(f.UID); err != nil {
		return r, d, err
	}
	return InheritResult{Outcome: InheritUpdated}, d, t.sayNothing(f.UID)
}

// heldByOthers says why a file cannot come to lie on an object.
func (t *tx) heldByOthers(f Inherited, o HeldObject) (why string, err error) {
	switch err := t.takes(o.Store); {
	case errors.Is(err, ErrStoreClosed):
		return "its store was emptied, or is being emptied, into another one; nothing was changed", nil
	case err != nil:
		return "", err
	}
	var state BlobState
	var origin BlobOrigin
	var size int64
	var tag string
	var id BlobID
	found, err := t.one(`SELECT id, state, origin, size, COALESCE(tag, '') FROM blobs WHERE store = ? AND key = ? FOR UPDATE`, []any{o.Store, o.Key}, &id, &state, &origin, &size, &tag)
	switch {
	case err != nil || !found || state == BlobGone:
		return "", err
	case origin != OriginForeign && (state == BlobDoomed || size != o.Size || tag != o.Tag):
		return "its object was adopted, and has changed or is being deleted; nothing was changed", nil
	case size == o.Size && tag == o.Tag:
		return "", nil
	}
	used, err := t.one(`SELECT 1 FROM extents e JOIN files f ON f.content_id = e.content_id WHERE e.blob_id = ? AND f.uid <> ? LIMIT 1`, []any{id, int64(f.UID)}, new(int))
	if used {
		why = "its object has changed, and another file lies on what it was; nothing was changed"
	}
	return why, err
}

// abandon dooms the content of a file that is about to point to another one,
// where no other file has it, and the foreign blobs that nothing uses then: also
// those of the file's new objects as they were.
func (t *tx) abandon(f Inherited, content ContentID) error {
	if _, err := t.one(`SELECT id FROM contents WHERE id = ? FOR UPDATE`, []any{content}, new(ContentID)); err != nil {
		return err
	}
	shared, err := t.one(`SELECT 1 FROM files WHERE content_id = ? AND uid <> ? LIMIT 1`, []any{content, int64(f.UID)}, new(int))
	if err != nil {
		return err
	}
	var blobs []BlobID
	if !shared {
		if blobs, err = t.doomContent(content); err != nil {
			return err
		}
	}
	for _, o := range f.Objects {
		list, err := ids[BlobID](t.query, `SELECT id FROM blobs WHERE store = ? AND key = ? AND origin = 'foreign'`, o.Store, o.Key)
		if err != nil {
			return err
		}
		blobs = append(blobs, list...)
	}
	return t.doom(blobs)
}
