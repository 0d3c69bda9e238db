package meta

import "context"

// Stored is a blob in a store that is in use, and the contents that lie in it.
type Stored struct {
	Blob     BlobID
	Size     int64
	Contents []StoredContent
}

// StoredContent is a content that lies in a blob, maybe with others.
type StoredContent struct {
	ID          ContentID
	Size        int64
	State       string
	DigestKnown bool
}

// StoredBlobs lists up to limit blobs of a store in which contents lie, by id,
// from the one after the given on. Others are open uploads', or wait for the
// sweep.
func (db *DB) StoredBlobs(ctx context.Context, store string, after BlobID, limit int) (list []Stored, err error) {
	err = db.view(ctx, "list the blobs of a store", func(q query) error {
		list = nil
		err := q.each(`SELECT id, size FROM blobs b WHERE store = ? AND state = 'live' AND id > ?
			AND EXISTS (SELECT 1 FROM extents WHERE blob_id = b.id) ORDER BY id LIMIT ?`,
			[]any{store, after, limit}, func(scan scanFunc) error {
				var s Stored
				err := scan(&s.Blob, &s.Size)
				list = append(list, s)
				return err
			})
		for i := range list {
			if err == nil {
				list[i].Contents, err = q.contentsIn(list[i].Blob)
			}
		}
		return err
	})
	return list, err
}

func (q query) contentsIn(id BlobID) (list []StoredContent, err error) {
	err = q.each(`SELECT id, size, state, digest IS NOT NULL FROM contents
		WHERE id IN (SELECT content_id FROM extents WHERE blob_id = ?) ORDER BY id`, []any{id}, func(scan scanFunc) error {
		var c StoredContent
		err := scan(&c.ID, &c.Size, &c.State, &c.DigestKnown)
		list = append(list, c)
		return err
	})
	return list, err
}

// Left is what lies in a store that is to be empty.
type Left struct {
	// Contents is how many lie there, in whole or in part, and are not damaged;
	// Damaged how many are.
	Contents, Damaged int64
	// Some are the first of those that are damaged.
	Some []ContentID
}

// leftPage is how many blobs are looked at at once.
const leftPage = 10_000

// LeftInStore counts the contents that lie in a store, each once, and names the
// first damaged ones, up to named: a page at a time, and of no one moment. What
// came into the store while it counted may be missing.
func (db *DB) LeftInStore(ctx context.Context, store string, named int) (l Left, err error) {
	after, n := BlobID(0), int64(leftPage)
	for err == nil && n == leftPage {
		var page Left
		var last BlobID
		err = db.view(ctx, "look what is left in a store", func(q query) error {
			page = Left{}
			if _, err := q.one(`SELECT COUNT(*), COALESCE(MAX(id), 0) FROM
				(SELECT id FROM blobs WHERE store = ? AND state = 'live' AND id > ? ORDER BY id LIMIT ?) AS page`,
				[]any{store, after, leftPage}, &n, &last); err != nil {
				return err
			}
			return q.leftIn(store, after, last, &page)
		})
		l.Contents, l.Damaged, after = l.Contents+page.Contents, l.Damaged+page.Damaged, last
		l.Some = append(l.Some, page.Some[:min(len(page.Some), named-len(l.Some))]...)
	}
	return l, err
}

// leftIn counts the contents whose first bytes in the store lie in its blobs
// after one, up to another.
func (q query) leftIn(store string, after, last BlobID, l *Left) error {
	return q.each(`SELECT c.id, c.state FROM blobs b JOIN extents e ON e.blob_id = b.id JOIN contents c ON c.id = e.content_id
		WHERE b.store = ? AND b.state = 'live' AND b.id > ? AND b.id <= ? AND c.state <> 'doomed' AND NOT EXISTS (
			SELECT 1 FROM extents o JOIN blobs ob ON ob.id = o.blob_id WHERE o.content_id = c.id AND o.seq < e.seq AND ob.store = b.store)
		ORDER BY b.id, c.id`, []any{store, after, last}, func(scan scanFunc) error {
		var id ContentID
		var state string
		if err := scan(&id, &state); err != nil {
			return err
		}
		if state != ContentDamaged {
			l.Contents++
			return nil
		}
		l.Damaged++
		l.Some = append(l.Some, id)
		return nil
	})
}
