package meta

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/osproxy/osproxy/protocol"
)

// CheckDatabase reads the whole database file and reports damage, rows that
// refer to missing rows, and the first owner whose usage is recorded wrong.
func (db *DB) CheckDatabase(ctx context.Context) error {
	if err := db.read(ctx, wholeTables, "check the database", db.dialect.check); err != nil {
		return err
	}
	drifts, err := db.CheckQuotas(ctx)
	if err != nil || len(drifts) == 0 {
		return err
	}
	d := drifts[0]
	return &protocol.Error{Kind: protocol.KindInternal, Op: "check the quotas",
		Message: fmt.Sprintf("the usage of owner %q is recorded as %+v, its files and uploads add up to %+v", d.Owner, d.Recorded, d.Counted),
		Hint:    "No file is affected; the limits of this owner's quota count wrong."}
}

// BlobRefs is a blob and what refers to it. While no daemon runs, a writing
// blob with neither an OpenUpload nor a Job was left by a crash: its owner is
// gone.
type BlobRefs struct {
	Blob
	// Extents and Parts count the rows that refer to the blob.
	Extents, Parts int
	// OpenUpload is the upload that assembles its parts in the blob, or for
	// which the blob is being written; 0 without one.
	OpenUpload protocol.UID
	// Job is the one that writes the blob and has not ended, 0 without one.
	Job protocol.JobID
	// Offered says that the sweep will look at the blob.
	Offered bool
	// Overlong says that the object may be longer than Size and will be cut.
	Overlong bool
	// MaxEnd is how far extents and parts reach into the blob.
	MaxEnd int64
	// UIDs are the files and open uploads with bytes in the blob, ascending.
	UIDs []protocol.UID
}

// fsckPage is how many rows are held in memory at once.
const fsckPage = 500

// EachBlob calls fn for every blob, in order of id, until fn fails.
func (db *DB) EachBlob(ctx context.Context, fn func(BlobRefs) error) error {
	for last := BlobID(0); ; {
		var page []BlobRefs
		err := db.view(ctx, "read blobs", func(q query) (err error) {
			page, err = q.blobPage(last)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, b := range page {
			last = b.ID
			if err := fn(b); err != nil {
				return err
			}
		}
	}
}

func (q query) blobPage(after BlobID) (page []BlobRefs, err error) {
	err = q.each(`SELECT b.id, b.store, b.key, b.size, b.state, b.origin, b.doomed_at, b.gone_at, b.overlong, COALESCE(b.compose_id, ''), COALESCE(b.tag, '')
		FROM blobs b WHERE b.id > ? ORDER BY b.id LIMIT ?`,
		[]any{after, fsckPage}, func(scan scanFunc) error {
			var b BlobRefs
			var doomed, gone *int64
			err := scan(&b.ID, &b.Store, &b.Key, &b.Size, &b.State, &b.Origin, &doomed, &gone, &b.Overlong, &b.ComposeID, &b.Tag)
			b.DoomedAt, b.GoneAt = timePtr(doomed), timePtr(gone)
			page = append(page, b)
			return err
		})
	for i := 0; err == nil && i < len(page); i++ {
		err = q.references(&page[i])
	}
	return page, err
}

// references fills in what refers to a blob.
func (q query) references(b *BlobRefs) (err error) {
	if b.Offered, err = q.one(`SELECT 1 FROM sweep_candidates WHERE blob_id = ?`, []any{b.ID}, new(int)); err != nil {
		return err
	}
	var extentEnd, partEnd int64
	if _, err := q.one(`SELECT COUNT(*), COALESCE(MAX(blob_offset + length), 0) FROM extents WHERE blob_id = ?`, []any{b.ID}, &b.Extents, &extentEnd); err != nil {
		return err
	}
	if _, err := q.one(`SELECT COUNT(*), COALESCE(MAX(blob_offset + length), 0) FROM parts WHERE blob_id = ?`, []any{b.ID}, &b.Parts, &partEnd); err != nil {
		return err
	}
	b.MaxEnd = max(extentEnd, partEnd)
	for _, text := range [...]string{
		`SELECT uid FROM uploads WHERE blob_id = ?`,
		`SELECT f.uid FROM blobs b JOIN files f ON f.uid = b.owner_id
			WHERE b.id = ? AND b.owner_kind = 'upload' AND b.state = 'writing' AND f.state = 'open'`,
	} {
		if found, err := q.one(text, []any{b.ID}, &b.OpenUpload); found || err != nil {
			if err != nil {
				return err
			}
			break
		}
	}
	if _, err := q.one(`SELECT j.id FROM blobs b JOIN jobs j ON j.id = b.owner_id
		WHERE b.id = ? AND b.owner_kind = 'job' AND b.state = 'writing' AND j.state IN ('ready', 'running')`, []any{b.ID}, &b.Job); err != nil {
		return err
	}
	uids, err := ids[protocol.UID](q, `SELECT f.uid FROM extents e JOIN files f ON f.content_id = e.content_id WHERE e.blob_id = ?
		UNION SELECT uid FROM parts WHERE blob_id = ? ORDER BY 1`, b.ID, b.ID)
	b.UIDs = uids
	return err
}

// ContentRefs is a content and what points to it.
type ContentRefs struct {
	Content
	// Fingerprint is nil while unknown.
	Fingerprint *protocol.Fingerprint
	// Files are the committed files on it, ascending.
	Files []protocol.UID
	// Refused are those of them that are not read: they have another MD5 than who
	// put them said.
	Refused []protocol.UID
	// BlockRows is how many blocks are recorded; Blocks reads them.
	BlockRows int64
}

// EachContent calls fn for every content, doomed ones too, in order of id,
// until fn fails.
func (db *DB) EachContent(ctx context.Context, fn func(ContentRefs) error) error {
	for last := ContentID(0); ; {
		var page []ContentRefs
		err := db.view(ctx, "read contents", func(q query) (err error) {
			page, err = q.contentPage(last)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, c := range page {
			last = c.ID
			if err := fn(c); err != nil {
				return err
			}
		}
	}
}

func (q query) contentPage(after ContentID) (page []ContentRefs, err error) {
	err = q.each(`SELECT id, size, digest, fingerprint, state, gen FROM contents WHERE id > ? ORDER BY id LIMIT ?`, []any{after, fsckPage}, func(scan scanFunc) error {
		var c ContentRefs
		var digest, fingerprint []byte
		err := scan(&c.ID, &c.Size, &digest, &fingerprint, &c.State, &c.Gen)
		if err == nil {
			c.Digest, err = decodeHash[protocol.Digest](digest)
		}
		if err == nil {
			c.Fingerprint, err = decodeHash[protocol.Fingerprint](fingerprint)
		}
		page = append(page, c)
		return err
	})
	for i := 0; err == nil && i < len(page); i++ {
		err = q.pointers(&page[i])
	}
	return page, err
}

// pointers fills in what a content consists of and who points to it.
func (q query) pointers(c *ContentRefs) (err error) {
	if c.Extents, err = q.extents(c.ID); err != nil {
		return err
	}
	if c.Files, err = ids[protocol.UID](q, `SELECT uid FROM files WHERE content_id = ? ORDER BY uid`, c.ID); err != nil {
		return err
	}
	if c.Refused, err = ids[protocol.UID](q, `SELECT uid FROM files WHERE content_id = ? AND md5_agrees = 0 ORDER BY uid`, c.ID); err != nil {
		return err
	}
	var stored sql.NullInt64
	_, err = q.one(`SELECT SUM(OCTET_LENGTH(triples)) FROM block_digests WHERE content_id = ?`, []any{c.ID}, &stored)
	c.BlockRows = stored.Int64 / blockBytes
	return err
}

// EachOpenPart calls fn for every part of every open upload, by uid and
// number, until fn fails. It reads nothing of uploads that have ended, of which
// there are as many as files.
func (db *DB) EachOpenPart(ctx context.Context, fn func(uid protocol.UID, p Part) error) error {
	for last := protocol.UID(0); ; {
		var uids []protocol.UID
		err := db.view(ctx, "read open uploads", func(q query) (err error) {
			uids, err = ids[protocol.UID](q, `SELECT DISTINCT p.uid FROM parts p CROSS JOIN files f
				WHERE p.uid > ? AND f.uid = p.uid AND f.uid > ? AND f.state = 'open' ORDER BY p.uid LIMIT ?`, int64(last), int64(last), fsckPage)
			return err
		})
		if err != nil || len(uids) == 0 {
			return err
		}
		for _, uid := range uids {
			last = uid
			parts, err := db.partsOf(ctx, uid)
			if err != nil {
				return err
			}
			for _, p := range parts {
				if err := fn(uid, p); err != nil {
					return err
				}
			}
		}
	}
}

func (db *DB) partsOf(ctx context.Context, uid protocol.UID) (parts []Part, err error) {
	err = db.view(ctx, "read parts", func(q query) error {
		parts, err = q.parts(uid)
		return err
	})
	return parts, err
}
