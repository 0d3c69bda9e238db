package meta

import (
	"database/sql"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// ending gathers what files and uploads let go of when they end, so that many
// of them lock in the one order: files and uploads, contents, blobs, quotas.
type ending struct {
	events   []emission
	contents []ContentID
	blobs    []BlobID
	freed    map[protocol.Owner]Usage
}

func (e *ending) free(owner protocol.Owner, u Usage) {
	if e.freed == nil {
		e.freed = map[protocol.Owner]Usage{}
	}
	e.freed[owner] = e.freed[owner].plus(u)
}

// finish dooms what is used no more, gives the quotas back and makes the
// events.
func (t *tx) finish(e ending) error {
	blobs, err := t.dropContents(e.contents)
	if err != nil {
		return err
	}
	if err := t.doom(append(blobs, e.blobs...)); err != nil {
		return err
	}
	if err := t.release(e.freed); err != nil {
		return err
	}
	for _, ev := range e.events {
		if err := t.emit(ev); err != nil {
			return err
		}
	}
	return nil
}

// endAll ends those of the files and uploads that are as they were found,
// once their rows are locked. reason is why uploads are among them.
func (t *tx) endAll(uids []protocol.UID, reason string, still func(fileRow, openUpload) bool) (n int, err error) {
	slices.Sort(uids)
	var e ending
	for _, uid := range uids {
		f, err := t.lockRow(uid)
		if err != nil {
			return 0, err
		}
		var u openUpload
		if f.state == fileOpen {
			if u, err = t.lockUpload(uid); err != nil {
				return 0, err
			}
		}
		if !still(f, u) {
			continue
		}
		switch f.state {
		case fileOpen:
			err = t.endOpen(f.owner, u, &e)
			e.events = append(e.events, emission{kind: protocol.EventUploadAbandoned, uid: uid, detail: eventDetail{Reason: &reason}})
		case fileCommitted:
			err = t.endCommitted(f.owner, uid, protocol.EventFileExpired, &e)
		default:
			continue
		}
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, t.finish(e)
}

// endOpen aborts a locked open upload and forgets its parts.
func (t *tx) endOpen(owner protocol.Owner, u openUpload, e *ending) error {
	blobs, err := t.blobsOf(u)
	if err != nil {
		return err
	}
	for _, text := range [...]string{`DELETE FROM parts WHERE uid = ?`, `DELETE FROM uploads WHERE uid = ?`} {
		if _, err := t.exec(text, int64(u.uid)); err != nil {
			return err
		}
	}
	if _, err := t.exec(`UPDATE files SET state = ?, aborted_at = ? WHERE uid = ?`, string(fileAborted), t.now, int64(u.uid)); err != nil {
		return err
	}
	e.blobs = append(e.blobs, blobs...)
	e.free(owner, Usage{Bytes: u.charged(), Files: 1, Uploads: 1})
	return nil
}

// endCommitted deletes a locked committed file, which is what the event says.
func (t *tx) endCommitted(owner protocol.Owner, uid protocol.UID, event protocol.EventKind, e *ending) error {
	var content sql.Null[ContentID]
	var size sql.Null[int64]
	var digest []byte
	if _, err := t.one(`SELECT c.id, c.size, c.digest FROM files f JOIN contents c ON c.id = f.content_id WHERE f.uid = ?`,
		[]any{int64(uid)}, &content, &size, &digest); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE files SET state = ?, content_id = NULL, deleted_at = ? WHERE uid = ?`,
		string(fileDeleted), t.now, int64(uid)); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM uploads WHERE uid = ?`, int64(uid)); err != nil {
		return err
	}
	if content.Valid {
		e.contents = append(e.contents, content.V)
	}
	e.free(owner, Usage{Bytes: size.V, Files: 1})
	e.events = append(e.events, emission{kind: event, uid: uid, size: &size.V, digest: digest})
	return nil
}
