package meta

import (
	"bytes"
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// NewChunk is a part of an upload in chunks: of any length, in a blob of its
// own. Where it lies in the file is known once all are there, by their order.
type NewChunk struct {
	NewPart
	// Before is the state of the MD5 of all bytes that come before it, nil for
	// none, and After that of all through it; After is nil where it was not
	// received in its turn.
	Before, After []byte
}

// InOrder is the MD5 of the chunks of an upload from the first on, as far as
// each came when it was its turn.
type InOrder struct {
	// Next is the number of the chunk whose turn it is: 1 when nothing is known.
	Next protocol.PartNumber
	// State is where the MD5 stands, nil at 1.
	State []byte
}

// RecordChunk records a chunk of an open upload in chunks, whose size is
// charged to the owner's quota by it. Where a chunk of the same bytes is
// recorded under its number that one stays, and the caller gives its blob up;
// other bytes take its place. Errors are those of RecordPart, and
// KindQuotaExceeded.
func (db *DB) RecordChunk(ctx context.Context, owner protocol.Owner, uid protocol.UID, c NewChunk) (held Part, stays bool, err error) {
	err = db.update(ctx, kept, "record a chunk", func(t *tx) error {
		u, err := t.lockOpen(owner, uid)
		if err != nil {
			return err
		}
		if !u.chunks {
			return notInChunks(uid)
		}
		held, stays, err = t.sameChunk(uid, c)
		if err != nil || stays {
			return err
		}
		gen, err := t.change(u)
		if err != nil {
			return err
		}
		if err := t.touch(uid); err != nil {
			return err
		}
		if err := t.publish(c.Blob, c.BlobOffset+c.Length); err != nil {
			return err
		}
		if err := t.putPart(uid, c.NewPart, gen); err != nil {
			return err
		}
		if err := t.turn(u, c); err != nil {
			return err
		}
		if held.Blob != 0 {
			if err := t.offer([]BlobID{held.Blob}); err != nil {
				return err
			}
		}
		held = Part{NewPart: c.NewPart, Gen: gen}
		return t.chargeChunks(owner, u, db.cfg.DefaultQuota)
	})
	return held, stays, err
}

// sameChunk looks for what is recorded under the chunk's number, and whether it
// has its bytes for certain: those that another boot left may be lost.
func (t *tx) sameChunk(uid protocol.UID, c NewChunk) (held Part, same bool, err error) {
	err = t.each(partColumns+`WHERE p.uid = ? AND p.number = ?`, []any{int64(uid), int(c.Number)}, func(scan scanFunc) error {
		held, err = scanPart(scan)
		return err
	})
	same = held.Blob != 0 && held.Length == c.Length && held.XXH3 == c.XXH3 && slices.Equal(held.Blocks, c.Blocks) &&
		held.MD5 != nil && c.MD5 != nil && *held.MD5 == *c.MD5 && (held.BootID == "" || held.BootID == c.BootID)
	return held, same, err
}

// ChunkAt is what is recorded under a number of an upload in chunks, with the
// upload and how many bytes its other chunks have. found is false where there is
// none. An upload that is not open is as Parts has it.
func (db *DB) ChunkAt(ctx context.Context, owner protocol.Owner, uid protocol.UID, n protocol.PartNumber) (u Upload, held Part, found bool, others int64, err error) {
	err = db.view(ctx, "look up a chunk", func(q query) error {
		held, found = Part{}, false
		if u, err = q.upload(owner, uid); err != nil {
			return err
		}
		if u.State == protocol.UploadCommitted {
			return committed(uid)
		}
		if err := q.each(partColumns+`WHERE p.uid = ? AND p.number = ?`, []any{int64(uid), int(n)}, func(scan scanFunc) error {
			held, err = scanPart(scan)
			found = true
			return err
		}); err != nil {
			return err
		}
		_, err := q.one(`SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) FROM parts WHERE uid = ? AND number <> ?`, []any{int64(uid), int(n)}, &others)
		return err
	})
	return u, held, found, others, err
}

// turn notes what the chunk means for the MD5 of those that came in order. One
// that takes the place of another of which it has the MD5 already ends that.
func (t *tx) turn(u openUpload, c NewChunk) error {
	now := u.inOrder
	switch {
	case c.After != nil && (c.Number == 1 || c.Number == now.Next && bytes.Equal(c.Before, now.State)):
		now = InOrder{Next: c.Number + 1, State: c.After}
	case c.Number < now.Next:
		now = InOrder{Next: 1}
	default:
		return nil
	}
	_, err := t.exec(`UPDATE uploads SET md5_next = ?, md5_state = ? WHERE uid = ?`, int(now.Next), now.State, int64(u.uid))
	return err
}

// leave begins the MD5 of the chunks anew where it has the bytes of one that is
// not recorded any more; first is the lowest number of those.
func (t *tx) leave(u openUpload, first protocol.PartNumber) error {
	if first >= u.inOrder.Next {
		return nil
	}
	_, err := t.exec(`UPDATE uploads SET md5_next = 1, md5_state = NULL WHERE uid = ?`, int64(u.uid))
	return err
}

// chargeChunks has the owner's quota be charged for all that is recorded.
func (t *tx) chargeChunks(owner protocol.Owner, u openUpload, standard Quota) error {
	var sum int64
	if _, err := t.one(`SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) FROM parts WHERE uid = ?`, []any{int64(u.uid)}, &sum); err != nil || sum <= u.reserved {
		return err
	}
	if _, err := t.exec(`UPDATE uploads SET reserved = ? WHERE uid = ?`, sum, int64(u.uid)); err != nil {
		return err
	}
	return t.reserve(owner, Usage{Bytes: sum - u.reserved}, standard)
}

func notInChunks(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Message: "the upload was begun to be sent whole or in parts, and takes no chunks; nothing was recorded",
		Hint: "Send the file as it was begun, or begin another upload."}
}

func inChunks(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid, Message: "the upload was begun in chunks, of any length, and takes no parts; nothing was recorded",
		Hint: "Send chunks and merge them, or begin another upload."}
}
