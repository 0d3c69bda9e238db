package meta

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// fileState is where the row of a file stands.
type fileState string

const (
	fileOpen      fileState = "open"
	fileCommitted fileState = "committed"
	fileAborted   fileState = "aborted"
	fileDeleted   fileState = "deleted"
)

// insertFile makes the row of a file that is open and has no content yet. A uid that was
// used before is KindConflict.
func (t *tx) insertFile(f FileFields, uid protocol.UID, created time.Time) error {
	labels, err := encodeMeta(f.Meta)
	if err != nil {
		return err
	}
	if !f.ModifiedAt.IsZero() {
		created = f.ModifiedAt
	}
	n, err := t.exec(`INSERT INTO files (uid, owner, name, media_type, meta, state, created_at, expires_at, imported_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (uid) DO NOTHING`,
		int64(uid), string(f.Owner), f.Name, f.MediaType, labels, string(fileOpen), ms(created), msOf(f.ExpiresAt), nilIfNone(f.From))
	if err == nil && n == 0 {
		err = protocol.Errorf(protocol.KindConflict, "the uid %s is one of another file; nothing was recorded", uid)
	}
	return err
}

// fileRow is what of a file's row decides what may happen to it.
type fileRow struct {
	owner   protocol.Owner
	state   fileState
	expires *int64
}

// lockRow locks the row of a file; one that is unknown has no state.
func (t *tx) lockRow(uid protocol.UID) (f fileRow, err error) {
	_, err = t.one(`SELECT owner, state, expires_at FROM files WHERE uid = ? FOR UPDATE`, []any{int64(uid)}, &f.owner, &f.state, &f.expires)
	return f, err
}

// lockFile locks the row of a file and gives its state. An unknown, expired or
// another owner's file is KindNotFound.
func (t *tx) lockFile(owner protocol.Owner, uid protocol.UID) (state fileState, err error) {
	f, err := t.lockRow(uid)
	if err != nil {
		return "", err
	}
	if f.state == "" || owner != anyOwner && owner != f.owner || f.expires != nil && *f.expires <= t.now {
		return "", notFound(uid)
	}
	return f.state, nil
}

// lockCommitted locks a file that must be committed; else KindNotFound.
func (t *tx) lockCommitted(owner protocol.Owner, uid protocol.UID) error {
	state, err := t.lockFile(owner, uid)
	if err == nil && state != fileCommitted {
		err = notFound(uid)
	}
	return err
}

const (
	fileFields = `SELECT f.uid, f.owner, f.name, c.size, c.digest, ` + shownSums + `, f.etag, f.media_type, f.meta,
	f.created_at, f.committed_at, f.expires_at, c.id`
	fileTables = ` FROM files f JOIN contents c ON c.id = f.content_id `
	fileRows   = fileFields + fileTables
	// readRows have three columns more.
	readRows      = fileFields + `, c.state, c.gen, COALESCE(f.md5_agrees, 1) = 0` + fileTables
	committedFile = `WHERE f.uid = ? AND f.owner = ? AND f.state = 'committed'` + unexpired
)

// scanFile reads the columns of fileFields, and into more those that follow.
func scanFile(scan scanFunc, more ...any) (f protocol.File, id ContentID, err error) {
	var digest, sha, md []byte
	var labels *string
	var created, committed int64
	var expires *int64
	err = scan(append([]any{&f.UID, &f.Owner, &f.Name, &f.Size, &digest, &sha, &md, &f.ETag, &f.MediaType, &labels,
		&created, &committed, &expires, &id}, more...)...)
	if err != nil {
		return f, 0, err
	}
	f.SHA256, f.MD5 = hexOf(sha), hexOf(md)
	f.CreatedAt, f.CommittedAt = protocol.TimeOf(timeOf(created)), protocol.TimeOf(timeOf(committed))
	if t := timePtr(expires); t != nil {
		f.ExpiresAt = &protocol.Time{Time: *t}
	}
	var derr, merr error
	f.Digest, derr = decodeHash[protocol.Digest](digest)
	f.Meta, merr = decodeMeta(labels)
	return f, id, errors.Join(derr, merr)
}

func hexOf(b []byte) *string {
	if b == nil {
		return nil
	}
	s := hex.EncodeToString(b)
	return &s
}

// file reads a committed file; else KindNotFound.
func (q query) file(owner protocol.Owner, uid protocol.UID) (f protocol.File, err error) {
	var id ContentID
	err = q.each(fileRows+committedFile,
		[]any{int64(uid), string(owner), q.now}, func(scan scanFunc) error {
			f, id, err = scanFile(scan)
			return err
		})
	if err == nil && id == 0 {
		err = notFound(uid)
	}
	return f, err
}

// File gives a committed file. One that is unknown, another owner's, not
// committed, deleted or expired is KindNotFound.
func (db *DB) File(ctx context.Context, owner protocol.Owner, uid protocol.UID) (f protocol.File, err error) {
	err = db.look(ctx, "read a file", func(q query) error {
		f, err = q.file(owner, uid)
		return err
	})
	return f, err
}

// Files lists a page of the owner's committed files, newest first.
func (db *DB) Files(ctx context.Context, owner protocol.Owner, fq FileQuery) (list []protocol.File, err error) {
	text, args := fq.statement(owner, ms(db.cfg.Clock()))
	err = db.look(ctx, "list files", func(q query) error {
		list = nil
		return q.each(text, args, func(scan scanFunc) error {
			f, _, err := scanFile(scan)
			list = append(list, f)
			return err
		})
	})
	return list, err
}

// statement selects the page. Its plan follows what narrows most: the digest,
// then the name, then the uid. A CROSS JOIN keeps its order, and a bound or an
// order on +uid leaves the index to the name.
func (fq FileQuery) statement(owner protocol.Owner, now int64) (text string, args []any) {
	from, uid := `FROM files f JOIN contents c ON c.id = f.content_id WHERE `, `f.uid`
	if fq.Prefix != "" && fq.Name == "" {
		uid = `+f.uid`
	}
	if fq.Digest != nil {
		from, args = `FROM contents c CROSS JOIN files f WHERE c.digest = ? AND f.content_id = c.id AND `, append(args, fq.Digest[:])
	}
	text = fileFields + ` ` + from + `f.owner = ? AND f.state = 'committed' AND ` + uid + ` < ?` + unexpired
	args = append(args, string(owner), beforeUID(fq.Before), now)
	if fq.Name != "" {
		text, args = text+`AND f.name = ? `, append(args, fq.Name)
	}
	if fq.Prefix != "" {
		text, args = text+`AND f.name >= ? `, append(args, fq.Prefix)
		if end, ok := prefixEnd(fq.Prefix); ok {
			text, args = text+`AND f.name < ? `, append(args, end)
		}
	}
	return text + `ORDER BY ` + uid + ` DESC LIMIT ?`, append(args, fq.Limit)
}

// PatchFile changes what p gives and answers the file after it. Two at once of
// other fields, or other keys of meta, both take effect.
func (db *DB) PatchFile(ctx context.Context, owner protocol.Owner, uid protocol.UID, p FilePatch) (f protocol.File, err error) {
	err = db.update(ctx, full, "change a file", func(t *tx) error {
		if err := t.lockCommitted(owner, uid); err != nil {
			return err
		}
		if err := t.patch(uid, p); err != nil {
			return err
		}
		f, err = t.patched(owner, uid)
		return err
	})
	return f, err
}

func (t *tx) patch(uid protocol.UID, p FilePatch) error {
	set := func(text string, value any) error {
		_, err := t.exec(text, value, int64(uid))
		return err
	}
	var errs []error
	if p.Name != nil {
		errs = append(errs, set(`UPDATE files SET name = ? WHERE uid = ?`, *p.Name))
	}
	if p.MediaType != nil {
		errs = append(errs, set(`UPDATE files SET media_type = ? WHERE uid = ?`, *p.MediaType))
	}
	if p.Meta != nil {
		labels, err := encodeMeta(*p.Meta)
		errs = append(errs, err, set(`UPDATE files SET meta = ? WHERE uid = ?`, labels))
	}
	if p.Labels != nil {
		errs = append(errs, t.patchLabels(uid, p.Labels))
	}
	if p.ExpiresAt != nil {
		errs = append(errs, set(`UPDATE files SET expires_at = ? WHERE uid = ?`, msOf(*p.ExpiresAt)))
	}
	return errors.Join(errs...)
}

// patchLabels changes keys of the meta of a locked file.
func (t *tx) patchLabels(uid protocol.UID, changes map[string]*string) error {
	var held *string
	if _, err := t.one(`SELECT meta FROM files WHERE uid = ?`, []any{int64(uid)}, &held); err != nil {
		return err
	}
	merged, err := decodeMeta(held)
	if err != nil {
		return err
	}
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range changes {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	if err := protocol.CheckMeta(merged); err != nil {
		return err
	}
	return t.patch(uid, FilePatch{Meta: &merged})
}

// patched reads the file even where the change made it expire at once: this
// answer is the last that shows it.
func (t *tx) patched(owner protocol.Owner, uid protocol.UID) (f protocol.File, err error) {
	err = t.each(fileRows+`WHERE f.uid = ? AND f.owner = ?`, []any{int64(uid), string(owner)}, func(scan scanFunc) error {
		f, _, err = scanFile(scan)
		return err
	})
	return f, err
}

// DeleteFile ends a committed file: it is not found from then on. Where it was
// the last of its content, the content is doomed with those of its blobs that
// no other content shares.
func (db *DB) DeleteFile(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	return db.update(ctx, full, "delete a file", func(t *tx) error {
		if err := t.lockCommitted(owner, uid); err != nil {
			return err
		}
		var e ending
		if err := t.endCommitted(owner, uid, protocol.EventFileDeleted, &e); err != nil {
			return err
		}
		return t.finish(e)
	})
}
