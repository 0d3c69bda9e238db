//go:build unlockedcommit

package meta

import "database/sql"

// lockCommit locks nothing and believes that the upload is as it was when its
// parts were looked at. Only a test builds it, which has to find out.
func (t *tx) lockCommit(c Commit) (u openUpload, err error) {
	u.uid = c.UID
	var blob sql.Null[BlobID]
	_, err = t.one(`SELECT gen, blob_id, size, reserved, touched_at, layout = 'chunks' FROM uploads WHERE uid = ?`,
		[]any{int64(c.UID)}, &u.gen, &blob, &u.size, &u.reserved, &u.touched, &u.chunks)
	u.blob = blob.V
	return u, err
}
