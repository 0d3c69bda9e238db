package meta

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// requestLife is how long a blob that a request writes may stay unfinished.
const requestLife = time.Hour

// DoomOffered looks at up to limit of the blobs that transactions stopped
// using, oldest first, and dooms those to which nothing refers. Each leaves the
// list either way, as it was seen on it: whoever drops the last reference offers
// the blob again, and may do so while this sees the reference still.
// n is how many were looked at.
func (db *DB) DoomOffered(ctx context.Context, limit int) (n int, err error) {
	err = db.update(ctx, full, "doom what was offered", func(t *tx) error {
		seen := map[BlobID]int64{}
		if err := t.each(`SELECT blob_id, offered_at FROM sweep_candidates WHERE offered_at <= ? ORDER BY offered_at LIMIT ?`,
			[]any{int64(math.MaxInt64), limit}, func(scan scanFunc) error {
				var id BlobID
				var at int64
				err := scan(&id, &at)
				seen[id] = at
				return err
			}); err != nil {
			return err
		}
		if n = len(seen); n == 0 {
			return nil
		}
		blobs := slices.Sorted(maps.Keys(seen))
		if _, err := t.doomIf(blobs, t.writerGone); err != nil {
			return err
		}
		for _, id := range blobs {
			if _, err := t.exec(`DELETE FROM sweep_candidates WHERE blob_id = ? AND offered_at = ?`, id, seen[id]); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// DoomOrphans dooms up to limit blobs that are still being written although
// their upload or job has ended, or their request must have: it began an hour
// ago. n is how many.
func (db *DB) DoomOrphans(ctx context.Context, limit int) (n int, err error) {
	err = db.update(ctx, full, "doom orphans", func(t *tx) error {
		orphans, err := ids[BlobID](t.query, `SELECT id FROM blobs WHERE state = 'writing' AND owner_kind = ?
			AND NOT EXISTS (SELECT 1 FROM files WHERE uid = blobs.owner_id AND state = 'open') ORDER BY owner_id LIMIT ?`, ownerUpload, limit)
		if err != nil {
			return err
		}
		requests, err := ids[BlobID](t.query, `SELECT id FROM blobs WHERE state = 'writing' AND owner_kind = ? AND owner_id = 0 AND created_at <= ?
			ORDER BY id LIMIT ?`, ownerRequest, t.now-requestLife.Milliseconds(), limit-len(orphans))
		if err != nil {
			return err
		}
		jobs, err := ids[BlobID](t.query, `SELECT id FROM blobs WHERE state = 'writing' AND owner_kind = ?
			AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = blobs.owner_id AND state IN ('ready', 'running')) ORDER BY owner_id LIMIT ?`,
			ownerJob, limit-len(orphans)-len(requests))
		if err != nil {
			return err
		}
		n, err = t.doomIf(slices.Concat(orphans, requests, jobs), t.writerGone)
		return err
	})
	return n, err
}

// DoomRequests dooms up to limit blobs that requests were writing, for whoever
// knows that no request is at work. n is how many.
func (db *DB) DoomRequests(ctx context.Context, limit int) (n int, err error) {
	err = db.update(ctx, full, "doom what requests left", func(t *tx) error {
		left, err := ids[BlobID](t.query, `SELECT id FROM blobs WHERE state = 'writing' AND owner_kind = ? AND owner_id = 0 ORDER BY id LIMIT ?`, ownerRequest, limit)
		if err != nil {
			return err
		}
		n, err = t.doomIf(left, func(BlobID, BlobState) (bool, error) { return true, nil })
		return err
	})
	return n, err
}

// writerGone reports whether nobody writes the blob any more.
func (t *tx) writerGone(id BlobID, state BlobState) (bool, error) {
	if state != BlobWriting {
		return true, nil
	}
	var kind string
	var owner, created int64
	if _, err := t.one(`SELECT owner_kind, owner_id, created_at FROM blobs WHERE id = ?`, []any{id}, &kind, &owner, &created); err != nil {
		return false, err
	}
	switch kind {
	case ownerUpload:
		open, err := t.one(`SELECT 1 FROM files WHERE uid = ? AND state = 'open'`, []any{owner}, new(int))
		return !open, err
	case ownerRequest:
		return created <= t.now-requestLife.Milliseconds(), nil
	case ownerJob:
		goesOn, err := t.one(`SELECT 1 FROM jobs WHERE id = ? AND state IN ('ready', 'running')`, []any{owner}, new(int))
		return !goesOn, err
	}
	return false, nil
}

const blobColumns = `SELECT id, store, key, size, state, origin, doomed_at, gone_at, COALESCE(compose_id, ''), COALESCE(tag, '') FROM blobs `

func scanBlob(scan scanFunc) (b Blob, err error) {
	var doomed, gone *int64
	err = scan(&b.ID, &b.Store, &b.Key, &b.Size, &b.State, &b.Origin, &doomed, &gone, &b.ComposeID, &b.Tag)
	b.DoomedAt, b.GoneAt = timePtr(doomed), timePtr(gone)
	return b, err
}

// blobsUntil lists a page of the blobs of a state that have been in it since
// the time in the column or longer, in all stores where in is ""; after is the last of
// the page before.
func (db *DB) blobsUntil(ctx context.Context, name string, state BlobState, column, in string, before time.Time, after *Blob, limit int) (list []Blob, err error) {
	var since int64 = math.MinInt64
	var id BlobID
	if after != nil {
		since, id = ms(*after.DoomedAt), after.ID
		if state == BlobGone {
			since = ms(*after.GoneAt)
		}
	}
	where, args := `WHERE state = '`+string(state)+`' AND `, []any{}
	if in != "" {
		where, args = where+`store = ? AND `, append(args, in)
	}
	text := blobColumns + where + column + ` <= ? AND (` + column + `, id) > (?, ?) ORDER BY ` + column + `, id LIMIT ?`
	err = db.look(ctx, name, func(q query) error {
		list = nil
		return q.each(text, append(args, ms(before), since, id, limit), func(scan scanFunc) error {
			b, err := scanBlob(scan)
			list = append(list, b)
			return err
		})
	})
	return list, err
}

// Doomed lists up to limit blobs of a store, or with in "" of all, that were doomed at
// the time or before, oldest first; after is the last of the page before, nil for the first, so
// that blobs that cannot be deleted now do not keep others from it. Doomed is
// terminal, so that their objects may be deleted; then MarkGone.
func (db *DB) Doomed(ctx context.Context, in string, before time.Time, after *Blob, limit int) ([]Blob, error) {
	return db.blobsUntil(ctx, "list doomed blobs", BlobDoomed, "doomed_at", in, before, after, limit)
}

// MarkGone notes that the objects of doomed blobs were deleted: the rows stay
// as tombstones. A blob that is not doomed stays as it is.
func (db *DB) MarkGone(ctx context.Context, blobs []BlobID) error {
	return db.update(ctx, full, "mark blobs gone", func(t *tx) error {
		for _, id := range inOrder(blobs) {
			if _, err := t.exec(`UPDATE blobs SET state = 'gone', gone_at = ? WHERE id = ? AND state = 'doomed'`, t.now, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Tombstones lists up to limit blobs of a store, or with in "" of all, that are gone
// since the time or longer, oldest first; after is the last of the page before, nil for the first. A
// writer that was cut off may have made an object again: delete it once more,
// then RemoveTombstones.
func (db *DB) Tombstones(ctx context.Context, in string, before time.Time, after *Blob, limit int) ([]Blob, error) {
	return db.blobsUntil(ctx, "list tombstones", BlobGone, "gone_at", in, before, after, limit)
}

// RemoveTombstones forgets blobs that are gone; others stay.
func (db *DB) RemoveTombstones(ctx context.Context, blobs []BlobID) error {
	return db.update(ctx, full, "remove tombstones", func(t *tx) error {
		for _, id := range inOrder(blobs) {
			if _, err := t.exec(`DELETE FROM blobs WHERE id = ? AND state = 'gone'`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Prune forgets up to limit rows that have been of no use since the time or
// longer, and gives how many: files that were deleted and uploads that were
// aborted (none of them is found since), contents that are doomed, jobs that
// ended, the manifests of imports whose job is forgotten, answers kept under idempotency keys, attempts that failed. Answers are given for 24 h, so that
// before is to be as long ago at least.
func (db *DB) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = db.update(ctx, full, "prune", func(t *tx) error {
		n = 0
		for _, p := range [...]struct{ find, remove string }{
			{`SELECT uid FROM files WHERE deleted_at <= ? ORDER BY deleted_at LIMIT ?`, `DELETE FROM files WHERE uid = ?`},
			{`SELECT uid FROM files WHERE aborted_at <= ? ORDER BY aborted_at LIMIT ?`, `DELETE FROM files WHERE uid = ?`},
			{`SELECT id FROM contents WHERE doomed_at <= ? ORDER BY doomed_at LIMIT ?`, `DELETE FROM contents WHERE id = ?`},
			{`SELECT id FROM jobs WHERE finished_at <= ? ORDER BY finished_at LIMIT ?`, `DELETE FROM jobs WHERE id = ?`},
		} {
			rows, err := ids[int64](t.query, p.find, ms(before), limit-n)
			if err != nil {
				return err
			}
			for _, id := range rows {
				if _, err := t.exec(p.remove, id); err != nil {
					return err
				}
			}
			n += len(rows)
		}
		entries, err := t.pruneManifests(limit - n)
		if err != nil {
			return err
		}
		n += entries
		answers, err := t.exec(`DELETE FROM idempotency WHERE (owner, key) IN
			(SELECT owner, key FROM idempotency WHERE created_at <= ? ORDER BY created_at LIMIT ?)`, ms(before), limit-n)
		n += int(answers)
		if err != nil {
			return err
		}
		attempts, err := t.exec(`DELETE FROM attempts WHERE (subject, slot) IN
			(SELECT subject, slot FROM attempts WHERE begun_at <= ? ORDER BY begun_at LIMIT ?)`, ms(before), limit-n)
		n += int(attempts)
		return err
	})
	return n, err
}

// ExpireFiles ends up to limit files and open uploads that expire at the time
// or before, oldest first, and gives how many. They are not found since they
// expired; now what they held is let go.
func (db *DB) ExpireFiles(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = db.update(ctx, full, "expire files", func(t *tx) error {
		n = 0
		uids, err := ids[protocol.UID](t.query, `SELECT uid FROM files WHERE expires_at <= ? AND state IN ('open', 'committed')
			ORDER BY expires_at LIMIT ?`, ms(now), limit)
		if err != nil {
			return err
		}
		n, err = t.endAll(uids, protocol.ReasonExpired, func(f fileRow, _ openUpload) bool { return f.expires != nil && *f.expires <= ms(now) })
		return err
	})
	return n, err
}

// AbandonUploads aborts up to limit open uploads whose last part began before
// the time, longest idle first, and gives how many. Rows that wrongly say that
// an upload is open, which an ospd of the first schema leaves that committed in
// a migrated database, are put right and do not count.
func (db *DB) AbandonUploads(ctx context.Context, touchedBefore time.Time, limit int) (n int, err error) {
	err = db.update(ctx, full, "abandon uploads", func(t *tx) error {
		n = 0
		uids, err := ids[protocol.UID](t.query, `SELECT uid FROM uploads WHERE open = 1 AND touched_at < ?
			AND EXISTS (SELECT 1 FROM files WHERE uid = uploads.uid AND state = 'open') ORDER BY touched_at LIMIT ?`, ms(touchedBefore), limit)
		if err != nil {
			return err
		}
		n, err = t.endAll(uids, protocol.ReasonIdle, func(f fileRow, u openUpload) bool { return f.state == fileOpen && u.touched < ms(touchedBefore) })
		if err != nil || len(uids) == limit {
			return err
		}
		// Only rows that are wrong are left before the time.
		_, err = t.exec(`UPDATE uploads SET open = 0 WHERE uid IN (SELECT uid FROM uploads WHERE open = 1 AND touched_at < ?
			AND NOT EXISTS (SELECT 1 FROM files WHERE uid = uploads.uid AND state = 'open') ORDER BY touched_at LIMIT ?)`, ms(touchedBefore), limit)
		return err
	})
	return n, err
}
