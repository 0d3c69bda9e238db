package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// Content gives a committed file, its content and where the bytes lie, all of
// one moment. It is KindNotFound where File is. What the answer points to is
// shared and not to be changed.
func (db *DB) Content(ctx context.Context, owner protocol.Owner, uid protocol.UID) (f protocol.File, c Content, err error) {
	changes, alone := db.engine.changes()
	known, ok := db.reads.get(owner, uid)
	if ok && alone && known.holds(changes, ms(db.cfg.Clock())) {
		return known.file, known.content, ctx.Err()
	}
	if ok {
		f, c, err = db.readAgain(ctx, owner, uid, known.content)
	}
	if !ok || err == nil && c.Extents == nil {
		f, c, err = db.readWhole(ctx, owner, uid)
	}
	if err == nil {
		db.reads.put(owner, uid, reading{changes, f, c})
	}
	return f, c, err
}

// readAgain is Content in one statement where the extents are those of known,
// which they are at the same gen; else it gives none.
func (db *DB) readAgain(ctx context.Context, owner protocol.Owner, uid protocol.UID, known Content) (f protocol.File, c Content, err error) {
	err = db.look(ctx, "read a content", func(q query) error {
		c = Content{}
		err := q.each(readRows+committedFile, []any{int64(uid), string(owner), q.now}, func(scan scanFunc) error {
			f, c.ID, err = scanFile(scan, &c.State, &c.Gen, &c.Refused)
			return err
		})
		if err == nil && c.ID == 0 {
			err = notFound(uid)
		}
		return err
	})
	c.Size, c.Digest = f.Size, f.Digest
	if c.ID == known.ID && c.Gen == known.Gen {
		c.Extents = known.Extents
	}
	return f, c, err
}

func (db *DB) readWhole(ctx context.Context, owner protocol.Owner, uid protocol.UID) (f protocol.File, c Content, err error) {
	err = db.view(ctx, "read a content", func(q query) error {
		var id ContentID
		var refused bool
		if err := q.each(readRows+committedFile, []any{int64(uid), string(owner), q.now}, func(scan scanFunc) error {
			f, id, err = scanFile(scan, new(string), new(int64), &refused)
			return err
		}); err != nil {
			return err
		}
		if id == 0 {
			return notFound(uid)
		}
		c, err = q.content(id)
		c.Refused = refused
		return err
	})
	return f, c, err
}

// Extents gives where a content's bytes lie now, in order. A reader that
// misses a blob asks again and goes on at its offset. A content that is doomed
// or unknown is KindNotFound.
func (db *DB) Extents(ctx context.Context, id ContentID) (list []Extent, gen int64, err error) {
	err = db.view(ctx, "read extents", func(q query) error {
		c, err := q.content(id)
		list, gen = c.Extents, c.Gen
		return err
	})
	return list, gen, err
}

func noContent() error {
	return protocol.Errorf(protocol.KindNotFound, "the content was deleted meanwhile")
}

func (q query) content(id ContentID) (c Content, err error) {
	c.ID = id
	var digest []byte
	found, err := q.one(`SELECT size, digest, state, gen FROM contents WHERE id = ?`, []any{id}, &c.Size, &digest, &c.State, &c.Gen)
	if err != nil {
		return c, err
	}
	if !found || c.State == ContentDoomed {
		return c, noContent()
	}
	if c.Digest, err = decodeHash[protocol.Digest](digest); err != nil {
		return c, err
	}
	c.Extents, err = q.extents(id)
	return c, err
}

func (q query) extents(id ContentID) (list []Extent, err error) {
	err = q.each(`SELECT e.blob_id, b.store, b.key, e.blob_offset, e.length, e.xxh3, COALESCE(b.tag, '') FROM extents e JOIN blobs b ON b.id = e.blob_id
		WHERE e.content_id = ? ORDER BY e.seq`, []any{id}, func(scan scanFunc) error {
		var e Extent
		var sum []byte
		err := scan(&e.Blob, &e.Store, &e.Key, &e.Offset, &e.Length, &sum, &e.Tag)
		if err == nil {
			e.XXH3, err = decodeHash[protocol.XXH3](sum)
		}
		list = append(list, e)
		return err
	})
	return list, err
}

// Blocks gives what is recorded of n blocks of a content from the block
// numbered first on (from 0), fewer where the content ends. It is
// KindDigestPending while the digest is unknown, KindNotFound for a content
// that is doomed or unknown.
func (db *DB) Blocks(ctx context.Context, id ContentID, first, n int64) (list []protocol.Block, err error) {
	err = db.view(ctx, "read block digests", func(q query) error {
		var state string
		var digest []byte
		found, err := q.one(`SELECT state, digest FROM contents WHERE id = ?`, []any{id}, &state, &digest)
		switch {
		case err != nil:
			return err
		case !found || state == ContentDoomed:
			return noContent()
		case digest == nil:
			return protocol.Errorf(protocol.KindDigestPending, "the digests of this content are not computed yet")
		}
		list, err = q.blocks(id, max(first, 0), max(n, 0))
		return err
	})
	return list, err
}

func (q query) blocks(id ContentID, first, n int64) (list []protocol.Block, err error) {
	from := first / chunkBlocks
	last := from + (first%chunkBlocks+n)/chunkBlocks
	err = q.each(`SELECT triples FROM block_digests WHERE content_id = ? AND seq >= ? AND seq <= ? ORDER BY seq`,
		[]any{id, from, last}, func(scan scanFunc) error {
			var b []byte
			if err := scan(&b); err != nil {
				return err
			}
			list, err = decodeBlocks(list, b)
			return err
		})
	lo := min(first-from*chunkBlocks, int64(len(list)))
	return list[lo:min(lo+n, int64(len(list)))], err
}

// ContentOf gives a content by its id. One that is doomed or unknown is
// KindNotFound.
func (db *DB) ContentOf(ctx context.Context, id ContentID) (c Content, err error) {
	err = db.view(ctx, "read a content", func(q query) error {
		c, err = q.content(id)
		return err
	})
	return c, err
}
