package meta

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// anyOwner is for verbs whose caller has checked the owner before.
const anyOwner protocol.Owner = ""

// openUpload is an upload whose rows are locked until the transaction ends.
type openUpload struct {
	uid protocol.UID
	gen int64
	// blob is the one the parts are assembled in, 0 without one.
	blob BlobID
	// size is not valid while unknown; reserved is then what the quota was
	// charged so far.
	size     sql.Null[int64]
	reserved int64
	touched  int64
	chunks   bool
	inOrder  InOrder
}

// charged is what the owner's quota was charged for the upload.
func (u openUpload) charged() int64 {
	if u.size.Valid {
		return u.size.V
	}
	return u.reserved
}

// lockOpen locks an upload that must be open: KindCommitted if it is
// committed; KindNotFound if it is unknown, another owner's, aborted, deleted
// or expired.
func (t *tx) lockOpen(owner protocol.Owner, uid protocol.UID) (u openUpload, err error) {
	state, err := t.lockFile(owner, uid)
	switch {
	case err != nil:
		return u, err
	case state == fileCommitted:
		return u, committed(uid)
	case state != fileOpen:
		return u, notFound(uid)
	}
	return t.lockUpload(uid)
}

// lockUpload locks the record of an upload whose file is locked, and open.
func (t *tx) lockUpload(uid protocol.UID) (u openUpload, err error) {
	u.uid = uid
	var blob sql.Null[BlobID]
	found, err := t.one(`SELECT gen, blob_id, size, reserved, touched_at, layout = 'chunks', md5_next, md5_state FROM uploads WHERE uid = ? FOR UPDATE`,
		[]any{int64(uid)}, &u.gen, &blob, &u.size, &u.reserved, &u.touched, &u.chunks, &u.inOrder.Next, &u.inOrder.State)
	if err == nil && !found {
		err = broken("upload "+uid.String()+" is open and has no record", nil)
	}
	u.blob = blob.V
	return u, err
}

// change raises the upload's gen and gives it.
func (t *tx) change(u openUpload) (int64, error) {
	_, err := t.exec(`UPDATE uploads SET gen = ? WHERE uid = ?`, u.gen+1, int64(u.uid))
	return u.gen + 1, err
}

// BeginUpload makes the file's row (open), the upload's and, with InPlace, the
// blob's (writing), and keeps idem, if given, in one durable transaction. A key
// that was used in the last 24 h is KindIdempotencyMismatch for another
// request, KindConflict for the same (Answer has it), and for a link that was used
// before. What the upload will need
// is reserved, or it is KindQuotaExceeded. A store that is closed is
// ErrStoreClosed. Nothing is made on any error.
func (db *DB) BeginUpload(ctx context.Context, n NewUpload, idem *Idempotency) (u Upload, err error) {
	err = db.named(ctx, "begin an upload", func(t *tx) error {
		if n.Linked {
			if err := t.useLink(n.UID); err != nil {
				return err
			}
		}
		if err := t.insertFile(n.FileFields, n.UID, n.CreatedAt); err != nil {
			return err
		}
		blob, err := t.nameInPlace(n)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO uploads (uid, layout, size, part_size, fingerprint, maybe, blob_id, touched_at, node) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			int64(n.UID), layoutOf(n), n.Size, n.PartSize, encodeHash(n.Fingerprint), flag(n.Maybe), (*int64)(blob), ms(n.CreatedAt), string(n.Node)); err != nil {
			return err
		}
		if err := t.saveAnswer(n.Owner, idem); err != nil {
			return err
		}
		wanted := Usage{Files: 1, Uploads: 1}
		if n.Size != nil {
			wanted.Bytes = *n.Size
		}
		if u, err = t.upload(n.Owner, n.UID); err != nil {
			return err
		}
		return t.reserve(n.Owner, wanted, db.cfg.DefaultQuota)
	})
	return u, err
}

// nameInPlace names the blob in which an upload is assembled, nil where it has
// none.
func (t *tx) nameInPlace(n NewUpload) (*BlobID, error) {
	if n.InPlace == nil {
		return nil, nil
	}
	id, err := t.nameBlob(*n.InPlace, ownerUpload, int64(n.UID))
	return &id, err
}

func layoutOf(n NewUpload) string {
	if n.Chunks {
		return "chunks"
	}
	return "blocks"
}

const (
	uploadColumns = `SELECT f.uid, f.owner, f.name, f.media_type, f.meta, f.state, f.created_at, f.expires_at, COALESCE(f.imported_from, ''),
		u.size, u.reserved, u.part_size, u.fingerprint, u.maybe, u.gen, u.touched_at, u.layout = 'chunks', u.md5_next, u.md5_state, u.node, u.blob_id, b.store, b.key, b.size
		FROM files f JOIN uploads u ON u.uid = f.uid LEFT JOIN blobs b ON b.id = u.blob_id `
	unexpired = ` AND (f.expires_at IS NULL OR f.expires_at > ?) `
)

func scanUpload(scan scanFunc) (u Upload, err error) {
	var created, touched int64
	var expires *int64
	var labels, store, key *string
	var state string
	var fp []byte
	var blobSize *int64
	var blob sql.Null[BlobID]
	err = scan(&u.UID, &u.Owner, &u.Name, &u.MediaType, &labels, &state, &created, &expires, &u.From,
		&u.Size, &u.Reserved, &u.PartSize, &fp, &u.Maybe, &u.Gen, &touched, &u.Chunks, &u.InOrder.Next, &u.InOrder.State, &u.Node, &blob, &store, &key, &blobSize)
	if err != nil {
		return u, err
	}
	u.State = protocol.UploadState(state)
	u.CreatedAt, u.TouchedAt, u.ExpiresAt = timeOf(created), timeOf(touched), timePtr(expires)
	if u.Blob = blob.V; blob.Valid {
		u.InPlace = &NewBlob{Store: *store, Key: *key, Size: *blobSize}
	}
	var merr, ferr error
	u.Meta, merr = decodeMeta(labels)
	u.Fingerprint, ferr = decodeHash[protocol.Fingerprint](fp)
	return u, errors.Join(merr, ferr)
}

func (q query) uploads(text string, args ...any) (list []Upload, err error) {
	err = q.each(uploadColumns+text, args, func(scan scanFunc) error {
		u, err := scanUpload(scan)
		list = append(list, u)
		return err
	})
	return list, err
}

func (q query) upload(owner protocol.Owner, uid protocol.UID) (Upload, error) {
	list, err := q.uploads(`WHERE f.uid = ? AND f.owner = ? AND f.state IN ('open', 'committed')`+unexpired, int64(uid), string(owner), q.now)
	if err != nil {
		return Upload{}, err
	}
	if len(list) == 0 {
		return Upload{}, notFound(uid)
	}
	u := list[0]
	if u.State == protocol.UploadCommitted {
		f, err := q.file(owner, uid)
		if err != nil {
			return Upload{}, err
		}
		u.File = &f
	}
	return u, nil
}

// Upload gives an open or committed upload. One that is unknown, another
// owner's, aborted, deleted or expired is KindNotFound.
func (db *DB) Upload(ctx context.Context, owner protocol.Owner, uid protocol.UID) (u Upload, err error) {
	err = db.view(ctx, "read an upload", func(q query) error {
		u, err = q.upload(owner, uid)
		return err
	})
	return u, err
}

// OpenUploads lists the owner's open uploads of exactly this name, size and
// fingerprint, newest first: those a resume may go on with.
func (db *DB) OpenUploads(ctx context.Context, owner protocol.Owner, name string, size int64, fp protocol.Fingerprint) (list []Upload, err error) {
	err = db.view(ctx, "find open uploads", func(q query) error {
		list, err = q.uploads(`WHERE f.owner = ? AND f.name = ? AND f.state = 'open' AND u.size = ? AND u.fingerprint = ?`+unexpired+`ORDER BY f.uid DESC`,
			string(owner), name, size, fp[:], q.now)
		if err != nil || len(list) == 0 {
			return err
		}
		now, err := q.databaseNow()
		for i := range list {
			list[i].Quiet = time.Duration(now-ms(list[i].TouchedAt)) * time.Millisecond
		}
		return err
	})
	return list, err
}

// Uploads lists up to limit of the owner's open uploads, newest first, from
// the one before the given uid on; 0 begins with the newest.
func (db *DB) Uploads(ctx context.Context, owner protocol.Owner, limit int, before protocol.UID) (list []Upload, err error) {
	err = db.look(ctx, "list uploads", func(q query) error {
		list, err = q.uploads(`WHERE f.owner = ? AND f.state = 'open' AND f.uid < ?`+unexpired+`ORDER BY f.uid DESC LIMIT ?`,
			string(owner), beforeUID(before), q.now, limit)
		return err
	})
	return list, err
}

// beforeUID is the bound of a page.
func beforeUID(uid protocol.UID) int64 {
	if uid == 0 {
		return math.MaxInt64
	}
	return int64(uid)
}

// SettleHome makes node the home of an open upload that has none, and gives the
// home that it has then. Where something of it lies in a store for which own does
// not hold, that is given instead, and nothing is changed. One that is not open is
// what TouchUpload says.
func (db *DB) SettleHome(ctx context.Context, owner protocol.Owner, uid protocol.UID, node NodeID, own func(store string) bool) (home NodeID, others string, err error) {
	err = db.update(ctx, kept, "settle where an upload is at home", func(t *tx) error {
		home, others = "", ""
		if _, err := t.lockOpen(owner, uid); err != nil {
			return err
		}
		if _, err := t.one(`SELECT node FROM uploads WHERE uid = ?`, []any{int64(uid)}, &home); err != nil || home != "" {
			return err
		}
		if err := t.each(`SELECT b.store FROM uploads u JOIN blobs b ON b.id = u.blob_id WHERE u.uid = ?
			UNION SELECT b.store FROM parts p JOIN blobs b ON b.id = p.blob_id WHERE p.uid = ?`, []any{int64(uid), int64(uid)}, func(scan scanFunc) error {
			var store string
			err := scan(&store)
			if err == nil && !own(store) {
				others = store
			}
			return err
		}); err != nil || others != "" {
			return err
		}
		home = node
		_, err := t.exec(`UPDATE uploads SET node = ? WHERE uid = ?`, string(node), int64(uid))
		return err
	})
	return home, others, err
}

func (t *tx) touch(uid protocol.UID) error {
	_, err := t.exec(`UPDATE uploads SET touched_at = ? WHERE uid = ?`, t.now, int64(uid))
	return err
}

// ReserveUpload charges the owner's quota for an open upload that began without
// a size and will have at least size bytes; the commit, or its end, settles the
// account. It is KindQuotaExceeded where that is too much, and then nothing was
// charged. One that is charged as much already, or began with a size, stays as
// it is; one that is not open is what TouchUpload says. A power cut may undo it,
// together with every record of a part that came later.
func (db *DB) ReserveUpload(ctx context.Context, owner protocol.Owner, uid protocol.UID, size int64) error {
	return db.update(ctx, kept, "reserve for an upload", func(t *tx) error {
		u, err := t.lockOpen(owner, uid)
		if err != nil || u.size.Valid || u.reserved >= size {
			return err
		}
		if _, err := t.exec(`UPDATE uploads SET reserved = ? WHERE uid = ?`, size, int64(uid)); err != nil {
			return err
		}
		return t.reserve(owner, Usage{Bytes: size - u.reserved}, db.cfg.DefaultQuota)
	})
}

// AbortUpload ends an open upload: it is not found from then on, its parts are
// forgotten and its blobs doomed.
func (db *DB) AbortUpload(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	return db.update(ctx, full, "abort an upload", func(t *tx) error {
		u, err := t.lockOpen(owner, uid)
		if err != nil {
			return err
		}
		var e ending
		// Whoever gives an upload up knows it: there is no event.
		if err := t.endOpen(owner, u, &e); err != nil {
			return err
		}
		return t.finish(e)
	})
}

// blobsOf lists the blobs of an upload: the one its parts are assembled in,
// those its parts lie in, and those being written for it.
func (t *tx) blobsOf(u openUpload) ([]BlobID, error) {
	blobs, err := ids[BlobID](t.query, `SELECT blob_id FROM parts WHERE uid = ?`, int64(u.uid))
	if err != nil {
		return nil, err
	}
	writing, err := ids[BlobID](t.query, `SELECT id FROM blobs WHERE owner_kind = ? AND owner_id = ? AND state = 'writing'`, ownerUpload, int64(u.uid))
	if err != nil {
		return nil, err
	}
	if blobs = append(blobs, writing...); u.blob != 0 {
		blobs = append(blobs, u.blob)
	}
	return inOrder(blobs), nil
}
