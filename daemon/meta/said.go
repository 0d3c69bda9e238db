package meta

import (
	"context"
	"crypto/md5"

	"github.com/osproxy/osproxy/protocol"
)

// SaidMD5 is the MD5 that a file has by the word of who put it.
type SaidMD5 struct {
	MD5 [md5.Size]byte
	// Agrees says that the file's bytes were seen to have it. The digest job of
	// the file has the last word in either case.
	Agrees bool
}

// A file whose bytes turn out to have another MD5 than was said is not what its
// owner meant to put. Its bytes are kept, but are not given as that file's: its
// content may be that of other files, of this owner and of others, of which
// nothing else was said.

// known compares what was said of a file with what its owner was told before of
// the content that it comes to. Not with what is known of other owners': that
// would tell that they have it.
func (t *tx) known(c Commit, content ContentID) (*SaidMD5, error) {
	if c.Said == nil || c.Said.Agrees || c.Digest == nil {
		return c.Said, nil
	}
	var sum []byte
	found, err := t.one(`SELECT c.md5 FROM files f JOIN contents c ON c.id = f.content_id
		WHERE f.content_id = ? AND f.owner = ? AND f.state = 'committed' AND f.digest_due IS NULL AND c.md5 IS NOT NULL LIMIT 1`,
		[]any{content, string(c.Owner)}, &sum)
	if err != nil || !found {
		return c.Said, err
	}
	if string(sum) != string(c.Said.MD5[:]) {
		return nil, &protocol.Error{Kind: protocol.KindDigestDiffers, UID: c.UID,
			Message: "the bytes have another MD5 than the one given; nothing was committed", Hint: "Compare the chunks with the file and send those that differ."}
	}
	return &SaidMD5{MD5: c.Said.MD5, Agrees: true}, nil
}

// Said is the MD5 that was said of a committed file, nil where none was. Errors
// are those of File.
func (db *DB) Said(ctx context.Context, owner protocol.Owner, uid protocol.UID) (said *[md5.Size]byte, err error) {
	err = db.look(ctx, "read what was said of a file", func(q query) error {
		var sum []byte
		found, err := q.one(`SELECT f.md5_said`+fileTables+committedFile, []any{int64(uid), string(owner), q.now}, &sum)
		if err == nil && !found {
			err = notFound(uid)
		}
		if err == nil {
			said, err = decodeHash[[md5.Size]byte](sum)
		}
		return err
	})
	return said, err
}

// say notes what was said of a file.
func (t *tx) say(uid protocol.UID, said *SaidMD5) error {
	if said == nil {
		return nil
	}
	var agrees *int
	if said.Agrees {
		yes := 1
		agrees = &yes
	}
	_, err := t.exec(`UPDATE files SET md5_said = ?, md5_agrees = ? WHERE uid = ?`, said.MD5[:], agrees, int64(uid))
	return err
}

// sayNothing takes back what was said of a file.
func (t *tx) sayNothing(uid protocol.UID) error {
	_, err := t.exec(`UPDATE files SET md5_said = NULL, md5_agrees = NULL WHERE uid = ?`, int64(uid))
	return err
}

// judge compares what was said of files, whose rows are locked, with the MD5 of
// their content, where that is known. One that was seen to agree is compared too.
func (t *tx) judge(files []DigestDue) error {
	var differ []protocol.UID
	for _, d := range files {
		var said, is []byte
		found, err := t.one(`SELECT f.md5_said, c.md5 FROM files f JOIN contents c ON c.id = f.content_id
			WHERE f.uid = ? AND f.content_id = ? AND f.md5_said IS NOT NULL AND COALESCE(f.md5_agrees, 1) = 1 AND c.md5 IS NOT NULL`,
			[]any{int64(d.UID), d.Content}, &said, &is)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		agrees := string(said) == string(is)
		if _, err := t.exec(`UPDATE files SET md5_agrees = ? WHERE uid = ?`, flag(agrees), int64(d.UID)); err != nil {
			return err
		}
		if !agrees {
			differ = append(differ, d.UID)
		}
	}
	for _, uid := range differ {
		if err := t.emitDiffers(uid); err != nil {
			return err
		}
	}
	return nil
}

// judgeAll is judge for the files of a content that are locked, by the MD5 that
// was found of it. It gives those of which something else was said.
func (t *tx) judgeAll(id ContentID, sum [md5.Size]byte) (differ []protocol.UID, err error) {
	if _, err := t.exec(`UPDATE files SET md5_agrees = CASE WHEN md5_said = ? THEN 1 ELSE 0 END
		WHERE content_id = ? AND md5_said IS NOT NULL AND COALESCE(md5_agrees, 1) = 1`, sum[:], id); err != nil {
		return nil, err
	}
	return ids[protocol.UID](t.query, `SELECT uid FROM files WHERE content_id = ? AND md5_agrees = 0 ORDER BY uid`, id)
}

// emitDiffers tells that a file is not read: it is as good as damaged.
func (t *tx) emitDiffers(uid protocol.UID) error {
	var size int64
	var digest []byte
	if _, err := t.one(`SELECT c.size, c.digest FROM files f JOIN contents c ON c.id = f.content_id WHERE f.uid = ?`, []any{int64(uid)}, &size, &digest); err != nil {
		return err
	}
	reason := protocol.ReasonMD5Differs
	return t.emit(emission{kind: protocol.EventContentCorrupt, uid: uid, size: &size, digest: digest, detail: eventDetail{Reason: &reason}})
}
