package meta

import (
	"context"

	"github.com/osproxy/osproxy/protocol"
)

// FilesInStore gives to each, in the order of their uids, the files that have bytes
// in a store, until it returns an error. It reads a page of all files at a time, and
// what it gives is of no one moment.
func (db *DB) FilesInStore(ctx context.Context, store string, each func(protocol.Owner, protocol.UID) error) error {
	after := protocol.UID(0)
	for {
		var page []FileRef
		var n int64
		last := after
		err := db.look(ctx, "list the files of a store", func(q query) error {
			page = nil
			if _, err := q.one(`SELECT COUNT(*), COALESCE(MAX(uid), 0) FROM (SELECT uid FROM files WHERE uid > ? ORDER BY uid LIMIT ?) AS page`,
				[]any{after, countPage}, &n, &last); err != nil || n == 0 {
				return err
			}
			return q.each(`SELECT owner, uid FROM files WHERE uid > ? AND uid <= ? AND state = 'committed' AND EXISTS
				(SELECT 1 FROM extents e JOIN blobs b ON b.id = e.blob_id WHERE e.content_id = files.content_id AND b.store = ?) ORDER BY uid`,
				[]any{after, last, store}, func(scan scanFunc) error {
					var f FileRef
					err := scan(&f.Owner, &f.UID)
					page = append(page, f)
					return err
				})
		})
		if err != nil {
			return err
		}
		for _, f := range page {
			if err := each(f.Owner, f.UID); err != nil {
				return err
			}
		}
		if n < countPage {
			return nil
		}
		after = last
	}
}

// FileRef names a file.
type FileRef struct {
	Owner protocol.Owner
	UID   protocol.UID
}
