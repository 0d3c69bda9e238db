package meta

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// Move is where the bytes of a content lie from now on.
type Move struct {
	Content ContentID
	// Gen is the content's when its bytes were read to be moved.
	Gen int64
	// Extents hold the same bytes, durably. Where the content's digest is not
	// known they need the XXH3 that the extents before them have: whoever moves
	// such a content cuts it as it was, or reads it.
	Extents []Extent
	// Verified says that all of the bytes were compared where they lie now.
	Verified bool
}

// MoveExtents has a content consist of other extents with the same bytes: it
// makes their blobs live, raises gen, and offers the blobs that are not used any
// more to the sweep, since other contents may share them. It is ErrGenChanged
// where the bytes were moved since Gen, KindNotFound where the content is gone,
// KindContentCorrupt where it is damaged: bytes that were found wrong are not
// moved. The extents are KindInternal where they do not add up, and
// KindStoreUnavailable where a blob was given up meanwhile. Nothing is changed
// on any.
func (db *DB) MoveExtents(ctx context.Context, m Move) error {
	return db.update(ctx, full, "move a content", func(t *tx) error {
		known, err := t.lockMove(m)
		if err != nil {
			return err
		}
		old, err := t.extents(m.Content)
		if err != nil {
			return err
		}
		extents := slices.Clone(m.Extents)
		if err := keepSums(old, extents, known); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM extents WHERE content_id = ?`, m.Content); err != nil {
			return err
		}
		if err := t.offer(unused(blobsIn(old), extents)); err != nil {
			return err
		}
		if err := t.putExtents(m.Content, received{extents: extents}); err != nil {
			return err
		}
		// What no digest job looked at where it lay may be looked at where it lies.
		if _, err := t.exec(`UPDATE files SET digest_due = ? WHERE content_id = ? AND state = 'committed' AND digest_due = ?`, t.now, m.Content, int64(digestNever)); err != nil {
			return err
		}
		var verified *int64
		if m.Verified {
			verified = &t.now
		}
		_, err = t.exec(`UPDATE contents SET gen = gen + 1, verified_at = COALESCE(?, verified_at) WHERE id = ?`, verified, m.Content)
		return err
	})
}

// lockMove locks the content and makes sure that it may be moved; known says
// whether its digest is.
func (t *tx) lockMove(m Move) (known bool, err error) {
	var state string
	var size, gen int64
	found, err := t.one(`SELECT state, size, gen, digest IS NOT NULL FROM contents WHERE id = ? FOR UPDATE`, []any{m.Content}, &state, &size, &gen, &known)
	switch {
	case err != nil:
		return known, err
	case !found || state == ContentDoomed:
		return known, noContent()
	case state == ContentDamaged:
		return known, protocol.Errorf(protocol.KindContentCorrupt, "the content was found damaged, nothing was moved")
	case gen != m.Gen:
		return known, ErrGenChanged
	}
	var sum int64
	for _, e := range m.Extents {
		sum += e.Length
	}
	if sum != size {
		return known, protocol.Errorf(protocol.KindInternal, "the extents hold %d bytes of %d, nothing was moved", sum, size)
	}
	return known, nil
}

// keepSums refuses extents without an XXH3 where nothing else would say any more
// what the bytes are, and drops those of others.
func keepSums(old, extents []Extent, known bool) error {
	had := slices.ContainsFunc(old, func(e Extent) bool { return e.XXH3 != nil })
	for i := range extents {
		switch {
		case known:
			extents[i].XXH3 = nil
		case had && extents[i].XXH3 == nil:
			return protocol.Errorf(protocol.KindInternal, "the XXH3 of an extent is missing, and the digest is not known; nothing was moved")
		}
	}
	return nil
}

func blobsIn(extents []Extent) (blobs []BlobID) {
	for _, e := range extents {
		blobs = append(blobs, e.Blob)
	}
	return blobs
}
