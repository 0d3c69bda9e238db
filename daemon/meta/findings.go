package meta

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Findings are what reading a content through tells besides its digest.
type Findings struct {
	// SHA256 and MD5 are the plain hashes of its bytes.
	SHA256 [sha256.Size]byte
	MD5    [md5.Size]byte
	// MediaType is what the first bytes tell, "" where they do not.
	MediaType string
	// Width and Height are those of an image, 0 of anything else.
	Width, Height int
}

// FoundOut is what was found of a content.
type FoundOut struct {
	Content ContentID
	Findings
}

// DigestDue is a file at whose content a digest job is to look.
type DigestDue struct {
	UID     protocol.UID
	Content ContentID
	Size    int64
	// State and Gen are the content's.
	State string
	Gen   int64
	// DigestKnown is false where not even the digest is known. SumsKnown says
	// that the content was looked at for another file, and found to be of
	// MediaType.
	DigestKnown bool
	SumsKnown   bool
	MediaType   string
	// Said is true where it is to be found out whether the file has the MD5 that
	// was said of it.
	Said bool
}

// digestNever is when a file is due whose content the configuration has no
// digest job look at.
const digestNever = math.MaxInt64

// digestDue is when a digest job is to look at a file that is being committed:
// in its turn, or before all others where the digest is not known, since its
// blocks cannot be asked for until then. nil is never: all is known of nothing.
func (t *tx) digestDue(size int64, digestKnown bool) *int64 {
	due := t.now
	switch {
	case !digestKnown:
		due = 0
	case size == 0:
		return nil
	}
	return &due
}

// shownSums are the SHA-256 and MD5 of a file f on content c as callers see
// them: those found of the content once the file's own digest job has run. Before
// that they would tell that somebody else has the content. One block's SHA-256
// is no secret of anybody who sent it.
// And its MD5 is known to who said it, once that was found to be right.
const shownSums = `CASE WHEN f.digest_due IS NULL OR c.size <= 4194304 THEN c.sha256 END,
	CASE WHEN f.digest_due IS NULL THEN c.md5 WHEN f.md5_agrees = 1 THEN f.md5_said END`

// sums are the plain SHA-256 and MD5 where they are known without reading a
// byte: those of nothing, and the SHA-256 of one block.
func (r received) sums() (sha, md []byte) {
	if r.digest == nil {
		return nil, nil
	}
	if sum, ok := protocol.PlainSHA256(r.size, r.blocks); ok {
		sha = sum[:]
	}
	if r.size == 0 {
		none := md5.Sum(nil)
		md = none[:]
	}
	return sha, md
}

// DueDigests lists up to limit files that are due for a digest job, in the
// order in which they became so. Each stays due until RecordFindings, PutOffDigests or
// FillDigest says otherwise, or it is deleted.
func (db *DB) DueDigests(ctx context.Context, limit int) (list []DigestDue, err error) {
	return db.DueDigestsIn(ctx, nil, limit)
}

// DueDigestsIn is DueDigests of files whose bytes begin in one of the stores; nil is
// for all.
func (db *DB) DueDigestsIn(ctx context.Context, stores []string, limit int) (list []DigestDue, err error) {
	where := ""
	var in []any
	if stores != nil {
		for _, s := range stores {
			in = append(in, s)
		}
		where = ` AND (SELECT b.store FROM extents e JOIN blobs b ON b.id = e.blob_id WHERE e.content_id = c.id AND e.seq = 0)
			IN (NULL` + strings.Repeat(`, ?`, len(in)) + `)`
	}
	err = db.look(ctx, "list files that are due for a digest job", func(q query) error {
		list = nil
		return q.each(`SELECT f.uid, c.id, c.size, c.state, c.gen, c.digest IS NOT NULL, c.md5 IS NOT NULL, COALESCE(c.media_type, ''), f.md5_said IS NOT NULL AND f.md5_agrees IS NULL
			FROM files f JOIN contents c ON c.id = f.content_id
			WHERE f.state = 'committed' AND f.digest_due <= ?`+where+` ORDER BY f.digest_due LIMIT ?`, append(append([]any{q.now}, in...), limit), func(scan scanFunc) error {
			var d DigestDue
			err := scan(&d.UID, &d.Content, &d.Size, &d.State, &d.Gen, &d.DigestKnown, &d.SumsKnown, &d.MediaType, &d.Said)
			list = append(list, d)
			return err
		})
	})
	return list, err
}

// ImageSize is that of the image that a file is, as the digest job of the file
// found it; 0 where it has not run, and of what is no image.
func (db *DB) ImageSize(ctx context.Context, owner protocol.Owner, uid protocol.UID) (width, height int, err error) {
	err = db.look(ctx, "find the size of an image", func(q query) error {
		var due *int64
		found, err := q.one(`SELECT f.digest_due, COALESCE(c.width, 0), COALESCE(c.height, 0)`+fileTables+committedFile,
			[]any{int64(uid), string(owner), q.now}, &due, &width, &height)
		switch {
		case err == nil && !found:
			err = notFound(uid)
		case due != nil:
			width, height = 0, 0
		}
		return err
	})
	return width, height, err
}

// RecordFindings records what was found, and that the digest jobs of the files
// have run. A file of whose type nobody said anything gets that of its
// MediaType. What was deleted or points elsewhere meanwhile stays as it is. A
// content's bytes never change, so that it does not matter where they lay when
// they were read.
func (db *DB) RecordFindings(ctx context.Context, found []FoundOut, done []DigestDue) error {
	found, done = slices.Clone(found), slices.Clone(done)
	slices.SortFunc(found, func(a, b FoundOut) int { return cmp.Compare(a.Content, b.Content) })
	slices.SortFunc(done, func(a, b DigestDue) int { return cmp.Compare(a.UID, b.UID) })
	// What a power cut takes back is found again.
	return db.update(ctx, relaxed, "record findings", func(t *tx) error {
		var looked []DigestDue
		for _, d := range done {
			n, err := t.exec(`UPDATE files SET digest_due = NULL, media_type = COALESCE(media_type, ?)
				WHERE uid = ? AND content_id = ? AND state = 'committed'`, nilIfNone(d.MediaType), int64(d.UID), d.Content)
			if err != nil {
				return err
			}
			if n > 0 {
				looked = append(looked, d)
			}
		}
		for _, f := range found {
			if err := t.setFindings(f.Content, f.Findings); err != nil {
				return err
			}
		}
		return t.judge(looked)
	})
}

func (t *tx) setFindings(id ContentID, f Findings) error {
	var width, height *int
	if f.Width > 0 && f.Height > 0 {
		width, height = &f.Width, &f.Height
	}
	_, err := t.exec(`UPDATE contents SET sha256 = ?, md5 = ?, media_type = ?, width = ?, height = ? WHERE id = ? AND state <> 'doomed'`,
		f.SHA256[:], f.MD5[:], nilIfNone(f.MediaType), width, height, id)
	return err
}

func nilIfNone(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// PutOffDigests has digest jobs look at files again after the time given.
func (db *DB) PutOffDigests(ctx context.Context, uids []protocol.UID, after time.Duration) error {
	return db.update(ctx, relaxed, "put digest jobs off", func(t *tx) error { return t.putOffDigests(uids, t.now+after.Milliseconds()) })
}

func (t *tx) putOffDigests(uids []protocol.UID, due int64) error {
	for _, uid := range slices.Sorted(slices.Values(uids)) {
		if _, err := t.exec(`UPDATE files SET digest_due = ? WHERE uid = ? AND state = 'committed' AND digest_due IS NOT NULL`, due, int64(uid)); err != nil {
			return err
		}
	}
	return nil
}
