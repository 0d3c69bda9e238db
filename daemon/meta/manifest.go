package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// Manifest gives up to limit entries of an import, in order, from number first
// on.
func (db *DB) Manifest(ctx context.Context, job protocol.JobID, first int64, limit int) (list []ImportEntry, err error) {
	err = db.look(ctx, "read a manifest", func(q query) error {
		list = nil
		return q.each(`SELECT path, size, COALESCE(uid, 0), outcome, COALESCE(error, '') FROM import_entries
			WHERE job_id = ? AND seq >= ? ORDER BY seq LIMIT ?`, []any{int64(job), first, limit}, func(scan scanFunc) error {
			var e ImportEntry
			err := scan(&e.Path, &e.Size, &e.UID, &e.Outcome, &e.Error)
			list = append(list, e)
			return err
		})
	})
	return list, err
}

// pruneManifests forgets up to limit entries of imports whose job is forgotten.
// Imports are few, and it steps from the one to the next.
func (t *tx) pruneManifests(limit int) (n int, err error) {
	var last int64
	for n < limit {
		var job int64
		found, err := t.one(`SELECT job_id FROM import_entries WHERE job_id > ? ORDER BY job_id LIMIT 1`, []any{last}, &job)
		if err != nil || !found {
			return n, err
		}
		last = job
		if known, err := t.one(`SELECT 1 FROM jobs WHERE id = ?`, []any{job}, new(int)); known || err != nil {
			if err != nil {
				return n, err
			}
			continue
		}
		gone, err := t.exec(`DELETE FROM import_entries WHERE job_id = ? AND seq IN
			(SELECT seq FROM import_entries WHERE job_id = ? ORDER BY seq LIMIT ?)`, job, job, limit-n)
		if err != nil {
			return n, err
		}
		n += int(gone)
	}
	return n, nil
}
