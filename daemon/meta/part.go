package meta

import (
	"context"
	"crypto/md5"
	"errors"

	"github.com/osproxy/osproxy/protocol"
)

// RecordPart records a part of an open upload, in place of the one recorded
// under its number, makes its blob live, and gives the gen it made. The blob of
// a replaced part is offered to the sweep unless parts are assembled in it.
//
// A power cut may undo a record, together with every later one. An upload that
// is committed is KindCommitted, any other that is not open KindNotFound; a
// blob that was lost meanwhile is KindStoreUnavailable: send the part again. One
// of an upload without a size for which the quota was not charged is charged by
// it, or KindQuotaExceeded.
func (db *DB) RecordPart(ctx context.Context, owner protocol.Owner, uid protocol.UID, p NewPart) (gen int64, err error) {
	err = db.update(ctx, kept, "record a part", func(t *tx) error {
		u, err := t.lockOpen(owner, uid)
		if err != nil {
			return err
		}
		if u.chunks {
			return inChunks(uid)
		}
		if gen, err = t.change(u); err != nil {
			return err
		}
		if err := t.touch(uid); err != nil {
			return err
		}
		if err := t.publish(p.Blob, p.BlobOffset+p.Length); err != nil {
			return err
		}
		var old BlobID
		if _, err := t.one(`SELECT blob_id FROM parts WHERE uid = ? AND number = ?`, []any{int64(uid), int(p.Number)}, &old); err != nil {
			return err
		}
		if err := t.putPart(uid, p, gen); err != nil {
			return err
		}
		if old != 0 && old != p.Blob && old != u.blob {
			if err := t.offer([]BlobID{old}); err != nil {
				return err
			}
		}
		return t.chargeThrough(owner, u, p.Offset+p.Length, db.cfg.DefaultQuota)
	})
	return gen, err
}

// chargeThrough has the quota be charged for an upload without a size that has
// end bytes at least, where it is not: what ReserveUpload charged for a part that
// was coming may have been given back meanwhile by another node, on which one
// failed.
func (t *tx) chargeThrough(owner protocol.Owner, u openUpload, end int64, def Quota) error {
	if u.size.Valid || u.reserved >= end {
		return nil
	}
	if _, err := t.exec(`UPDATE uploads SET reserved = ? WHERE uid = ?`, end, int64(u.uid)); err != nil {
		return err
	}
	return t.reserve(owner, Usage{Bytes: end - u.reserved}, def)
}

func (t *tx) putPart(uid protocol.UID, p NewPart, gen int64) error {
	_, err := t.exec(`INSERT INTO parts (uid, number, part_offset, length, xxh3, blocks, blob_id, blob_offset, boot_id, gen, md5)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (uid, number) DO UPDATE SET part_offset = excluded.part_offset, length = excluded.length,
			xxh3 = excluded.xxh3, blocks = excluded.blocks, blob_id = excluded.blob_id,
			blob_offset = excluded.blob_offset, boot_id = excluded.boot_id, gen = excluded.gen, md5 = excluded.md5`,
		int64(uid), int(p.Number), p.Offset, p.Length, p.XXH3[:], encodeBlocks(p.Blocks), p.Blob, p.BlobOffset, p.BootID, gen, encodeHash(p.MD5))
	return err
}

const partColumns = `SELECT p.number, p.part_offset, p.length, p.xxh3, p.blocks, p.blob_id, p.blob_offset, p.boot_id, p.gen, p.md5, b.store, b.key
	FROM parts p JOIN blobs b ON b.id = p.blob_id `

func scanPart(scan scanFunc) (p Part, err error) {
	var sum, blocks, md []byte
	if err := scan(&p.Number, &p.Offset, &p.Length, &sum, &blocks, &p.Blob, &p.BlobOffset, &p.BootID, &p.Gen, &md, &p.Store, &p.Key); err != nil {
		return p, err
	}
	h, herr := decodeHash[protocol.XXH3](sum)
	if herr == nil {
		p.XXH3 = *h
	}
	var merr error
	p.MD5, merr = decodeHash[[md5.Size]byte](md)
	p.Blocks, err = decodeBlocks(nil, blocks)
	return p, errors.Join(herr, merr, err)
}

// Parts lists the parts of an open upload by number, and the gen at which
// they are all of them. A committed upload is KindCommitted, any other that is
// not open KindNotFound.
func (db *DB) Parts(ctx context.Context, owner protocol.Owner, uid protocol.UID) (parts []Part, gen int64, err error) {
	err = db.view(ctx, "list parts", func(q query) error {
		u, err := q.upload(owner, uid)
		if err != nil {
			return err
		}
		if u.State == protocol.UploadCommitted {
			return committed(uid)
		}
		gen = u.Gen
		parts, err = q.parts(uid)
		return err
	})
	return parts, gen, err
}

// Part is the part of an open upload of that number, as Parts has it. found is
// false where there is none. An upload in chunks has none to look at:
// KindConflict.
func (db *DB) Part(ctx context.Context, owner protocol.Owner, uid protocol.UID, n protocol.PartNumber) (p Part, found bool, err error) {
	err = db.view(ctx, "look up a part", func(q query) error {
		u, err := q.upload(owner, uid)
		if err != nil {
			return err
		}
		if u.State == protocol.UploadCommitted {
			return committed(uid)
		}
		if u.Chunks {
			return inChunks(uid)
		}
		found = false
		return q.each(partColumns+`WHERE p.uid = ? AND p.number = ?`, []any{int64(uid), int(n)}, func(scan scanFunc) error {
			p, err = scanPart(scan)
			found = err == nil
			return err
		})
	})
	return p, found, err
}

func (q query) parts(uid protocol.UID) (parts []Part, err error) {
	err = q.each(partColumns+`WHERE p.uid = ? ORDER BY p.number`, []any{int64(uid)}, func(scan scanFunc) error {
		p, err := scanPart(scan)
		parts = append(parts, p)
		return err
	})
	return parts, err
}

// PartsSynced notes that the upload's parts in the blob that were recorded at
// gen through or before are on the disk. A power cut may undo it.
func (db *DB) PartsSynced(ctx context.Context, uid protocol.UID, blob BlobID, through int64) error {
	return db.update(ctx, relaxed, "note synced parts", func(t *tx) error {
		_, err := t.exec(`UPDATE parts SET boot_id = '' WHERE uid = ? AND blob_id = ? AND gen <= ? AND boot_id <> ''`, int64(uid), blob, through)
		return err
	})
}

// DropPart un-records a part if it is still the one recorded at gen, and
// offers its blob to the sweep; an MD5 of chunks that has its bytes begins anew.
// Otherwise, and when the upload has ended, nothing happens.
func (db *DB) DropPart(ctx context.Context, uid protocol.UID, n protocol.PartNumber, gen int64) error {
	return db.update(ctx, full, "drop a part", func(t *tx) error {
		u, err := t.lockOpen(anyOwner, uid)
		if k := protocol.KindOf(err); k == protocol.KindCommitted || k == protocol.KindNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		var blob BlobID
		found, err := t.one(`DELETE FROM parts WHERE uid = ? AND number = ? AND gen = ? RETURNING blob_id`, []any{int64(uid), int(n), gen}, &blob)
		if err != nil || !found {
			return err
		}
		if _, err := t.change(u); err != nil {
			return err
		}
		if err := t.leave(u, n); err != nil {
			return err
		}
		if blob == u.blob {
			return nil
		}
		return t.offer([]BlobID{blob})
	})
}

// LoseBlob says that bytes written to a blob of an open upload may be gone:
// its parts are un-recorded as by DropPart, nothing more is assembled in it, and
// it is doomed. An upload that is committed is KindCommitted, and stays as it is;
// any other that is not open KindNotFound.
func (db *DB) LoseBlob(ctx context.Context, uid protocol.UID, blob BlobID) error {
	return db.update(ctx, full, "lose a blob", func(t *tx) error {
		u, err := t.lockOpen(anyOwner, uid)
		if err != nil {
			return err
		}
		var first protocol.PartNumber
		if _, err := t.one(`SELECT CAST(COALESCE(MIN(number), ?) AS BIGINT) FROM parts WHERE uid = ? AND blob_id = ?`, []any{protocol.MaxParts + 1, int64(uid), blob}, &first); err != nil {
			return err
		}
		if err := t.leave(u, first); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM parts WHERE uid = ? AND blob_id = ?`, int64(uid), blob); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE uploads SET blob_id = NULL WHERE uid = ? AND blob_id = ?`, int64(uid), blob); err != nil {
			return err
		}
		if _, err := t.change(u); err != nil {
			return err
		}
		return t.doom([]BlobID{blob})
	})
}
