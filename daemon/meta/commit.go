package meta

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// Commit turns an open upload into a file on a content (place says on which),
// forgets its parts, and offers those of its blobs that the content does not
// use to the sweep; a compose job is made where c.Compose has one. It is ErrGenChanged when the parts are not those of c.Gen,
// KindCommitted when the upload is committed already, KindNotFound when it is
// not open for another reason, KindQuotaExceeded when a size that was unknown
// so far is too much for the owner.
func (db *DB) Commit(ctx context.Context, c Commit) (f protocol.File, err error) {
	err = db.update(ctx, full, "commit", func(t *tx) error {
		u, err := t.lockCommit(c)
		if err != nil {
			return err
		}
		if err := t.notImported(c.Owner, c.From); err != nil {
			return err
		}
		blobs, err := t.blobsOf(u)
		if err != nil {
			return err
		}
		content, err := t.place(received{uid: c.UID, size: c.Size, digest: c.Digest, fingerprint: c.Fingerprint, blocks: c.Blocks, extents: c.Extents})
		if err != nil {
			return err
		}
		said, err := t.known(c, content)
		if err != nil {
			return err
		}
		if err := t.endUpload(u, c.Size, nil); err != nil {
			return err
		}
		if err := t.measureBlob(u, c.Extents); err != nil {
			return err
		}
		if err := t.point(c.UID, content, c.ETag, ms(c.CommittedAt), t.digestDue(c.Size, c.Digest != nil)); err != nil {
			return err
		}
		if err := t.say(c.UID, said); err != nil {
			return err
		}
		if err := t.offer(unused(blobs, c.Extents)); err != nil {
			return err
		}
		if f, err = t.file(c.Owner, c.UID); err != nil {
			return err
		}
		if err := t.emitCommitted(f); err != nil {
			return err
		}
		if err := t.reserve(c.Owner, Usage{Bytes: c.Size - u.charged(), Uploads: -1}, db.cfg.DefaultQuota); err != nil || !c.Compose || c.Digest == nil {
			return err
		}
		return t.composeSoon(content, c.Extents)
	})
	return f, err
}

// point makes a file committed on a content, for a digest job to look at when
// due says.
func (t *tx) point(uid protocol.UID, content ContentID, etag string, at int64, due *int64) error {
	_, err := t.exec(`UPDATE files SET state = 'committed', content_id = ?, etag = ?, committed_at = ?, digest_due = ? WHERE uid = ?`,
		content, etag, at, due, int64(uid))
	return err
}

// endUpload forgets the parts and the challenge of an upload whose file
// becomes committed, lets go of the blob they were assembled in, and remembers
// the claim that did it, if one did.
func (t *tx) endUpload(u openUpload, size int64, by *claimant) error {
	if _, err := t.exec(`DELETE FROM parts WHERE uid = ?`, int64(u.uid)); err != nil {
		return err
	}
	var nonce, proof []byte
	if by != nil {
		nonce, proof = by.nonce[:], by.proof[:]
	}
	_, err := t.exec(`UPDATE uploads SET open = 0, blob_id = NULL, size = ?, claimed_nonce = ?, claimed_proof = ?,
		nonce = NULL, nonce_digest = NULL, nonce_ranges = NULL, nonce_expires_at = NULL WHERE uid = ?`, size, nonce, proof, int64(u.uid))
	return err
}

// measureBlob notes that the blob the parts were assembled in is as long as
// the extents say, and whether its object may be longer: parts beyond that were
// begun and not recorded, or are recorded elsewhere.
func (t *tx) measureBlob(u openUpload, extents []Extent) error {
	var end int64
	for _, e := range extents {
		if e.Blob == u.blob {
			end = max(end, e.Offset+e.Length)
		}
	}
	overlong := !u.size.Valid || end < u.size.V
	_, err := t.exec(`UPDATE blobs SET size = ?, overlong = ? WHERE id = ?`, end, flag(overlong), u.blob)
	return err
}

// unused are the blobs that no extent uses.
func unused(blobs []BlobID, extents []Extent) []BlobID {
	used := make(map[BlobID]bool, len(extents))
	for _, e := range extents {
		used[e.Blob] = true
	}
	return slices.DeleteFunc(blobs, func(b BlobID) bool { return used[b] })
}

// PutFile makes a committed file whose bytes lie durably in n.Blob already,
// its content (place says which), and the kept answer, in one durable
// transaction. The blob may have a row that AddBlob made for a request. Errors
// about the key and the quota are those of BeginUpload; ErrStoreClosed
// is for a blob without a row. Nothing is changed on any.
func (db *DB) PutFile(ctx context.Context, n NewFile, idem *Idempotency) (f protocol.File, err error) {
	err = db.named(ctx, "put a file", func(t *tx) error {
		if err := t.saveAnswer(n.Owner, idem); err != nil {
			return err
		}
		if err := t.notImported(n.Owner, n.From); err != nil {
			return err
		}
		// The row is open within this transaction only.
		if err := t.insertFile(n.FileFields, n.UID, n.CommittedAt); err != nil {
			return err
		}
		r := received{uid: n.UID, size: n.Size, digest: &n.Digest, fingerprint: &n.Fingerprint, blocks: n.Blocks}
		if n.Blob != nil {
			id, err := t.wholeBlob(*n.Blob, n.Named)
			if err != nil {
				return err
			}
			if n.Size > 0 {
				r.extents = []Extent{{Blob: id, Length: n.Size}}
			}
		}
		content, err := t.place(r)
		if err != nil {
			return err
		}
		if err := t.point(n.UID, content, n.ETag, ms(n.CommittedAt), t.digestDue(n.Size, true)); err != nil {
			return err
		}
		if f, err = t.patched(n.Owner, n.UID); err != nil {
			return err
		}
		if err := t.emitCommitted(f); err != nil {
			return err
		}
		return t.reserve(n.Owner, Usage{Bytes: n.Size, Files: 1}, db.cfg.DefaultQuota)
	})
	return f, err
}

// wholeBlob gives the row of a blob whose bytes are there: a new one, or the one
// that the request made. That may be doomed meanwhile, or forgotten after that, by
// who took the request for one that had ended: its object is gone then.
func (t *tx) wholeBlob(b NewBlob, named BlobID) (id BlobID, err error) {
	if named != 0 { // what was named before goes on where it is, also in a store that is closed
		n, err := t.exec(`UPDATE blobs SET state = 'live', size = ? WHERE id = ? AND state = 'writing' AND owner_kind = ?`, b.Size, named, ownerRequest)
		if err == nil && n == 0 {
			err = lostBytes()
		}
		return named, err
	}
	if err := t.takes(b.Store); err != nil {
		return 0, err
	}
	found, err := t.one(`INSERT INTO blobs (store, key, size, state, created_at) VALUES (?, ?, ?, 'live', ?)
		ON CONFLICT (store, key) DO NOTHING RETURNING id`, []any{b.Store, b.Key, b.Size, t.now}, &id)
	if err == nil && !found {
		err = protocol.Errorf(protocol.KindInternal, "the key %s of store %s is in use, nothing was changed", b.Key, b.Store)
	}
	return id, err
}
