package meta

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// Filled is what was computed of a content whose digest was not known.
type Filled struct {
	Content ContentID
	// Gen is the one at which all of its bytes were read.
	Gen         int64
	Digest      protocol.Digest
	Fingerprint protocol.Fingerprint
	Blocks      []protocol.Block
	Findings
}

// FillDigest gives the files of a content whose digest was not known one whose
// digest, blocks and findings are those computed: the bytes win as received
// ones do (see place), since they were just read, and an equal content may be
// damaged without anybody knowing. Only objects that are not ours do not win
// over such as are, since others may change or delete them at any time; those
// of a content that is damaged they heal. The digest jobs of the files have run then.
// It is ErrGenChanged where the bytes were moved since, KindNotFound where the
// content is gone or was filled, KindContentCorrupt where it is damaged.
func (db *DB) FillDigest(ctx context.Context, f Filled) error {
	return db.update(ctx, full, "fill in a digest", func(t *tx) error {
		if err := t.lockFill(f); err != nil {
			return err
		}
		extents, err := t.extents(f.Content)
		if err != nil {
			return err
		}
		for i := range extents {
			extents[i].XXH3 = nil // the blocks say it from now on
		}
		r := received{digest: &f.Digest, fingerprint: &f.Fingerprint, blocks: f.Blocks, extents: extents}
		for _, e := range extents {
			r.size += e.Length
		}
		id, folded, err := t.preferOwn(r)
		if err == nil && !folded {
			id, err = t.place(r)
		}
		if err != nil {
			return err
		}
		differ, err := t.judgeAll(f.Content, f.MD5)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE files SET content_id = ?, digest_due = NULL, media_type = COALESCE(media_type, ?) WHERE content_id = ?`,
			id, nilIfNone(f.MediaType), f.Content); err != nil {
			return err
		}
		if err := t.setFindings(id, f.Findings); err != nil {
			return err
		}
		blobs, err := t.doomContent(f.Content) // its blobs are the other's
		if err != nil {
			return err
		}
		for _, uid := range differ {
			if err := t.emitDiffers(uid); err != nil {
				return err
			}
		}
		switch {
		case folded:
			return t.offer(blobs)
		}
		// Nobody joined them before: what says that the result is right was not
		// known. A store that cannot join has nothing done by the job. Objects that
		// are not ours stay what they are.
		if foreign, err := t.foreign(id); foreign || err != nil {
			return err
		}
		return t.composeSoon(id, extents)
	})
}

// lockFill locks the files of the content, then it and those that it equals, in
// the order of all who lock several. Nobody can come to point to it: nobody
// knows its digest.
func (t *tx) lockFill(f Filled) error {
	uids, err := ids[protocol.UID](t.query, `SELECT uid FROM files WHERE content_id = ? ORDER BY uid`, f.Content)
	if err != nil {
		return err
	}
	for _, uid := range uids {
		if _, err := t.lockRow(uid); err != nil {
			return err
		}
	}
	contents, err := ids[ContentID](t.query, `SELECT c.id FROM contents c JOIN contents u ON u.size = c.size
		WHERE u.id = ? AND c.digest = ? AND c.state IN ('live', 'damaged')`, f.Content, f.Digest[:])
	if err != nil {
		return err
	}
	contents = append(contents, f.Content)
	slices.Sort(contents)
	for _, id := range contents {
		var state string
		var gen int64
		var known bool
		if _, err := t.one(`SELECT state, gen, digest IS NOT NULL FROM contents WHERE id = ? FOR UPDATE`, []any{id}, &state, &gen, &known); err != nil {
			return err
		}
		switch {
		case id != f.Content:
		case state == ContentDamaged:
			return protocol.Errorf(protocol.KindContentCorrupt, "the content was found damaged meanwhile, nothing was changed")
		case state != ContentLive || known:
			return noContent()
		case gen != f.Gen:
			return ErrGenChanged
		}
	}
	return nil
}
