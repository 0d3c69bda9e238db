package meta

import (
	"context"
	"crypto/md5"
	"errors"

	"github.com/osproxy/osproxy/protocol"
)

// InheritedAs is how a file is that was inherited.
type InheritedAs struct {
	InheritResult
	// The rest is of InheritAlready alone.
	Size int64
	// Said is the MD5 that the file is to have, MD5 that of its bytes, each where
	// it is known.
	Said, MD5 *[md5.Size]byte
	// Agrees: its bytes were found to have what was said.
	Agrees bool
	// Foreign: its bytes lie in objects that are not ospd's, these.
	Foreign bool
	Objects []HeldObject

	content ContentID
}

// Doubted reports whether there is a file of which an MD5 was said that its bytes
// were not found to have, or not yet.
func (as InheritedAs) Doubted() bool {
	return as.Outcome == InheritAlready && as.Said != nil && !as.Agrees
}

// InheritedAlready gives what Inherit would answer for files that are there, or
// were, by uid, and how they are; of those that it would make there is nothing.
func (db *DB) InheritedAlready(ctx context.Context, files []Inherited) (known map[protocol.UID]InheritedAs, err error) {
	err = db.view(ctx, "look for inherited files", func(q query) error {
		known = map[protocol.UID]InheritedAs{}
		for _, f := range files {
			as, found, err := q.inherited(f)
			if err != nil {
				return err
			}
			if found {
				known[f.UID] = as
			}
		}
		return nil
	})
	return known, err
}

// inherited finds what has the uid.
func (q query) inherited(f Inherited) (as InheritedAs, found bool, err error) {
	var owner protocol.Owner
	var state fileState
	var from string
	var said, is []byte
	found, err = q.one(`SELECT f.owner, f.state, COALESCE(f.imported_from, ''), f.md5_said, COALESCE(f.md5_agrees, 0) = 1, COALESCE(c.id, 0), COALESCE(c.size, 0), c.md5
		FROM files f LEFT JOIN contents c ON c.id = f.content_id WHERE f.uid = ?`, []any{int64(f.UID)}, &owner, &state, &from, &said, &as.Agrees, &as.content, &as.Size, &is)
	switch {
	case err != nil || !found:
		return as, found, err
	case owner != f.Owner && from == f.From:
		as.InheritResult = refusedUID("it was imported before, for the owner " + string(owner) + ", and stays his")
		return as, true, nil
	case owner != f.Owner:
		as.InheritResult = refusedUID("it is the uid of a file of another owner here, " + string(owner))
		return as, true, nil
	case from != f.From:
		as.InheritResult = refusedUID("it is the uid of another file here")
		return as, true, nil
	case state == fileDeleted:
		as.Outcome = InheritDeleted
		return as, true, nil
	case state != fileCommitted:
		as.InheritResult = refusedUID("it is the uid of a file here that is not committed")
		return as, true, nil
	}
	as.Outcome = InheritAlready
	var serr, merr error
	as.Said, serr = decodeHash[[md5.Size]byte](said)
	as.MD5, merr = decodeHash[[md5.Size]byte](is)
	return as, true, errors.Join(serr, merr, q.lies(&as))
}

// lies finds where the bytes of an inherited file are.
func (q query) lies(as *InheritedAs) error {
	as.Foreign = true // also of nothing
	return q.each(`SELECT b.store, b.key, e.length, COALESCE(b.tag, ''), b.origin FROM extents e JOIN blobs b ON b.id = e.blob_id
		WHERE e.content_id = ? ORDER BY e.seq`, []any{as.content}, func(scan scanFunc) error {
		var o HeldObject
		var origin BlobOrigin
		err := scan(&o.Store, &o.Key, &o.Size, &o.Tag, &origin)
		as.Objects, as.Foreign = append(as.Objects, o), as.Foreign && origin == OriginForeign
		return err
	})
}
