package meta

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// The states of a content. A damaged one is not served, and is healed by the
// next equal bytes, or by a scrub that reads all of it as recorded; doomed is
// terminal.
const (
	ContentLive    = "live"
	ContentDamaged = "damaged"
	ContentDoomed  = "doomed"
)

// received is the content of a file, whose bytes lie in blobs of the caller's.
type received struct {
	uid         protocol.UID
	size        int64
	digest      *protocol.Digest
	fingerprint *protocol.Fingerprint
	blocks      []protocol.Block
	extents     []Extent
}

// place gives the content for bytes just received. They win: where a content
// of the same digest and size exists, its extents switch to the new ones, its
// damage is healed for every file that shares it, and its old blobs are
// offered to the sweep. Locks are taken content first, then blobs in order.
func (t *tx) place(r received) (id ContentID, err error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	for range placeAttempts {
		if id, err = t.switchExtents(r); id != 0 || err != nil {
			break
		}
		if id, err = t.newContent(r); id != 0 || err != nil {
			break
		}
	}
	if err == nil && id == 0 {
		err = protocol.Errorf(protocol.KindUnavailable, "the same content is being changed elsewhere, nothing was changed")
	}
	if err != nil {
		return 0, err
	}
	return id, t.putExtents(id, r)
}

// placeAttempts bounds how often another transaction may come between the
// look for an equal content and the change of it.
const placeAttempts = 5

// check refuses content that could not be read back.
func (r received) check() error {
	var sum int64
	for _, e := range r.extents {
		sum += e.Length
	}
	if sum != r.size {
		return protocol.Errorf(protocol.KindInternal, "the extents hold %d bytes of %d, nothing was changed", sum, r.size)
	}
	want := int((r.size + protocol.BlockSize - 1) / protocol.BlockSize)
	if r.digest == nil {
		want = 0
	}
	if len(r.blocks) != want {
		return protocol.Errorf(protocol.KindInternal, "%d block digests were given, not %d, nothing was changed", len(r.blocks), want)
	}
	return nil
}

// switchExtents takes the extents off an equal content that exists, for new
// ones to be put; 0 where there is none, or somebody else came first.
func (t *tx) switchExtents(r received) (ContentID, error) {
	if r.digest == nil {
		return 0, nil
	}
	var id ContentID
	var gen int64
	var state string
	found, err := t.one(`SELECT id, gen, state FROM contents WHERE digest = ? AND size = ? AND state IN ('live', 'damaged')
		ORDER BY CASE state WHEN 'live' THEN 0 ELSE 1 END, id LIMIT 1 FOR UPDATE`, []any{r.digest[:], r.size}, &id, &gen, &state)
	if err != nil || !found {
		return 0, err
	}
	sha, md := r.sums()
	n, err := t.exec(`UPDATE contents SET state = 'live', gen = gen + 1, verified_at = ?, fingerprint = COALESCE(fingerprint, ?),
		sha256 = COALESCE(sha256, ?), md5 = COALESCE(md5, ?)
		WHERE id = ? AND gen = ? AND state IN ('live', 'damaged')`, t.now, encodeHash(r.fingerprint), sha, md, id, gen)
	if err != nil || n == 0 {
		return 0, err
	}
	if state == ContentDamaged {
		if err := t.emitContent(protocol.EventContentHealed, id, r.uid, eventsInline); err != nil {
			return 0, err
		}
	}
	old, err := ids[BlobID](t.query, `SELECT blob_id FROM extents WHERE content_id = ?`, id)
	if err != nil {
		return 0, err
	}
	if err := t.clearContent(id); err != nil {
		return 0, err
	}
	folded, err := t.foldDamaged(id, r)
	if err != nil {
		return 0, err
	}
	return id, t.offer(unused(append(old, folded...), r.extents))
}

// foldDamaged lets the files of other contents of equal bytes, which are all
// damaged since one live one can exist, point to that one. It gives the blobs
// that those used.
func (t *tx) foldDamaged(into ContentID, r received) (blobs []BlobID, err error) {
	others, err := ids[ContentID](t.query, `SELECT id FROM contents WHERE digest = ? AND size = ? AND state = 'damaged' AND id <> ?
		ORDER BY id FOR UPDATE`, r.digest[:], r.size, into)
	if err != nil {
		return nil, err
	}
	for _, id := range others {
		if err := t.emitContent(protocol.EventContentHealed, id, r.uid, allFiles); err != nil {
			return nil, err
		}
		if _, err := t.exec(`UPDATE files SET content_id = ? WHERE content_id = ?`, into, id); err != nil {
			return nil, err
		}
		dropped, err := t.doomContent(id)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, dropped...)
	}
	return blobs, nil
}

// newContent makes the row; 0 where an equal one appeared meanwhile.
func (t *tx) newContent(r received) (id ContentID, err error) {
	sha, md := r.sums()
	_, err = t.one(`INSERT INTO contents (digest, size, fingerprint, sha256, md5, state, created_at, verified_at) VALUES (?, ?, ?, ?, ?, 'live', ?, ?)
		ON CONFLICT DO NOTHING RETURNING id`, []any{encodeHash(r.digest), r.size, encodeHash(r.fingerprint), sha, md, t.now, t.now}, &id)
	return id, err
}

// putExtents makes the blobs live and the content's rows those of r.
func (t *tx) putExtents(id ContentID, r received) error {
	end := map[BlobID]int64{}
	blobs := make([]BlobID, 0, len(r.extents))
	for _, e := range r.extents {
		end[e.Blob] = max(end[e.Blob], e.Offset+e.Length)
		blobs = append(blobs, e.Blob)
	}
	for _, b := range inOrder(blobs) {
		if err := t.publish(b, end[b]); err != nil {
			return err
		}
	}
	for seq, e := range r.extents {
		if _, err := t.exec(`INSERT INTO extents (content_id, seq, blob_id, blob_offset, length, xxh3) VALUES (?, ?, ?, ?, ?, ?)`,
			id, seq, e.Blob, e.Offset, e.Length, encodeHash(e.XXH3)); err != nil {
			return err
		}
	}
	seq := 0
	for chunk := range slices.Chunk(r.blocks, chunkBlocks) {
		if _, err := t.exec(`INSERT INTO block_digests (content_id, seq, triples) VALUES (?, ?, ?)`, id, seq, encodeBlocks(chunk)); err != nil {
			return err
		}
		seq++
	}
	return nil
}

func (t *tx) clearContent(id ContentID) error {
	if _, err := t.exec(`DELETE FROM extents WHERE content_id = ?`, id); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM block_digests WHERE content_id = ?`, id)
	return err
}

// dropContents dooms those contents to which no file points any more, and
// gives the blobs they used. Each row is locked before its files are counted:
// whoever adopts a content locks the row too.
func (t *tx) dropContents(contents []ContentID) (blobs []BlobID, err error) {
	slices.Sort(contents)
	for _, id := range slices.Compact(contents) {
		var state string
		if _, err := t.one(`SELECT state FROM contents WHERE id = ? FOR UPDATE`, []any{id}, &state); err != nil {
			return nil, err
		}
		used, err := t.one(`SELECT 1 FROM files WHERE content_id = ? LIMIT 1`, []any{id}, new(int))
		if err != nil {
			return nil, err
		}
		if used {
			continue
		}
		dropped, err := t.doomContent(id)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, dropped...)
	}
	return blobs, nil
}

// doomContent ends a locked content and gives the blobs it used.
func (t *tx) doomContent(id ContentID) (blobs []BlobID, err error) {
	if blobs, err = ids[BlobID](t.query, `SELECT blob_id FROM extents WHERE content_id = ?`, id); err != nil {
		return nil, err
	}
	if _, err := t.exec(`UPDATE contents SET state = 'doomed', doomed_at = ?, gen = gen + 1 WHERE id = ?`, t.now, id); err != nil {
		return nil, err
	}
	return blobs, t.clearContent(id)
}

// MarkDamaged notes that a block of the content was found damaged where its
// bytes lay at gen. It is served no more until it is healed.
// When it was healed or moved since, what was found
// says nothing about it and nothing is noted. Of one that is marked already gen is
// raised: who is reading it to heal it may have passed the block while it was sound.
func (db *DB) MarkDamaged(ctx context.Context, id ContentID, gen int64) error {
	return db.update(ctx, full, "mark a content damaged", func(t *tx) error {
		n, err := t.exec(`UPDATE contents SET state = 'damaged' WHERE id = ? AND gen = ? AND state = 'live'`, id, gen)
		if err == nil && n == 0 {
			_, err = t.exec(`UPDATE contents SET gen = gen + 1 WHERE id = ? AND gen = ? AND state = 'damaged'`, id, gen)
			return err
		}
		if err != nil {
			return err
		}
		return t.emitContent(protocol.EventContentCorrupt, id, 0, eventsInline)
	})
}
