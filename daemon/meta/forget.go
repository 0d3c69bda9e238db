package meta

import (
	"context"
	"fmt"

	"github.com/osproxy/osproxy/protocol"
)

// DoomedInStore counts the objects of a store that are of no use any more, and
// that the sweep deletes there: a page at a time, as CountStore.
func (db *DB) DoomedInStore(ctx context.Context, store string) (objects int64, err error) {
	after, n := "", int64(countPage)
	for err == nil && n == countPage {
		err = db.look(ctx, "count the doomed blobs of a store", func(q query) error {
			var doomed int64
			var last string
			_, err := q.one(`SELECT COUNT(*), COALESCE(MAX(key), ''), CAST(COALESCE(SUM(CASE WHEN origin = 'foreign' THEN 0 WHEN state = 'doomed' THEN 1
				WHEN state = 'live' AND NOT EXISTS (SELECT 1 FROM extents WHERE blob_id = page.id) THEN 1 ELSE 0 END), 0) AS BIGINT)
				FROM (SELECT id, key, state, origin FROM blobs WHERE store = ? AND key > ? ORDER BY key LIMIT ?) AS page`,
				[]any{store, after, countPage}, &n, &last, &doomed)
			if err == nil {
				objects, after = objects+doomed, last
			}
			return err
		})
	}
	return objects, err
}

// ForgetStore gives up to limit objects up that were to be deleted in a store
// which is gone for good, with their rows, and counts them; more says that there
// are others. With the last of them the store is not known any more, and its
// name may be another's. While something lies there that is or may be of use it
// is KindConflict, and nothing is changed.
func (db *DB) ForgetStore(ctx context.Context, store string, limit int) (c StoreCount, more bool, err error) {
	err = db.update(ctx, full, "forget a store", func(t *tx) error {
		c, more = StoreCount{}, false
		needed, err := t.one(`SELECT 1 FROM blobs WHERE store = ? AND state IN ('live', 'writing') LIMIT 1`, []any{store}, new(int))
		if err != nil {
			return err
		}
		if needed {
			return protocol.Errorf(protocol.KindConflict, "files or uploads have bytes in store %s, or somebody began to write there within the hour; nothing of it was given up", store)
		}
		seen := 0
		var blobs []BlobID
		if err := t.each(`SELECT id, size, state, origin FROM blobs WHERE store = ? ORDER BY key LIMIT ? FOR UPDATE`, []any{store, limit}, func(scan scanFunc) error {
			var id BlobID
			var size int64
			var state BlobState
			var origin BlobOrigin
			err := scan(&id, &size, &state, &origin)
			if seen++; state == BlobDoomed && origin != OriginForeign {
				c.Blobs, c.Bytes = c.Blobs+1, c.Bytes+size
			}
			blobs = append(blobs, id)
			return err
		}); err != nil {
			return err
		}
		for _, id := range blobs {
			for _, text := range [...]string{`DELETE FROM sweep_candidates WHERE blob_id = ?`, `DELETE FROM blobs WHERE id = ?`} {
				if _, err := t.exec(text, id); err != nil {
					return err
				}
			}
		}
		if more = seen == limit; more {
			return nil
		}
		for _, name := range [...]string{settingStoreKnown(store), settingStoreType(store), settingStoreBucket(store), settingStoreClosed(store), settingMigration(store), settingDigests(store)} {
			if _, err := t.exec(`DELETE FROM settings WHERE name = ?`, name); err != nil {
				return err
			}
		}
		return nil
	})
	return c, more, err
}

// EndJobsInStore ends up to limit jobs that write to a store which is gone for good,
// also those that seem to run: the caller knows that nobody does any of them. n is
// how many.
func (db *DB) EndJobsInStore(ctx context.Context, store string, limit int) (n int, err error) {
	err = db.update(ctx, full, "end jobs of a store", func(t *tx) error {
		n = 0
		jobs, err := ids[protocol.JobID](t.query, `SELECT id FROM jobs WHERE state IN ('ready', 'running') AND EXISTS (SELECT 1 FROM blobs
			WHERE state = 'writing' AND owner_kind = ? AND owner_id = jobs.id AND store = ?) ORDER BY id LIMIT ? FOR UPDATE`, ownerJob, store, limit)
		if err != nil {
			return err
		}
		for _, id := range jobs {
			r, err := t.lockJob(id)
			if err == nil {
				err = t.endJob(r, protocol.JobCancelled, joined(r.failure, fmt.Sprintf("store %s, where it wrote, was given up", store)))
			}
			if err != nil {
				return err
			}
		}
		n = len(jobs)
		return nil
	})
	return n, err
}

// EndUploadsIn abandons up to limit of the open uploads that have bytes in a store
// which is gone for good, or write there, and where that is the disk of a node those
// that are at home there and have no bytes yet. n is how many.
func (db *DB) EndUploadsIn(ctx context.Context, store string, node NodeID, limit int) (n int, err error) {
	err = db.update(ctx, full, "end uploads of a store", func(t *tx) error {
		const open = ` AND EXISTS (SELECT 1 FROM files WHERE uid = u.uid AND state = 'open')`
		uids, err := ids[protocol.UID](t.query, `SELECT u.uid FROM uploads u `+openIn+open+` LIMIT ?`, 0, store, store, store, limit)
		if err == nil && len(uids) == 0 && node != "" {
			uids, err = ids[protocol.UID](t.query, `SELECT u.uid FROM uploads u `+nowhere+open+` AND u.node = ? LIMIT ?`, 0, string(node), limit)
		}
		if err != nil {
			return err
		}
		n, err = t.endAll(uids, protocol.ReasonStoreLost, func(f fileRow, _ openUpload) bool { return f.state == fileOpen })
		return err
	})
	return n, err
}
