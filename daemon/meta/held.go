package meta

import (
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"slices"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Held is a content that an owner has.
type Held struct {
	Content ContentID
	Size    int64
	Digest  protocol.Digest
}

// What an owner has of an MD5 is a content that one of the owner's own live files
// points to, where the MD5 is known of that file: its own digest job has run, or
// its bytes were seen to have the MD5 that was said of it. What others' jobs found
// would tell that somebody else has the content. A file that has not the MD5 it
// was to have does not count. A content that is damaged is none, nor is one in an
// object that is not ours, as for claims.
const (
	// sound holds of such contents c.
	sound = ` c.state = 'live' AND c.digest IS NOT NULL` + notForeign
	// lookedAt and saidOf hold of such files f.
	lookedAt = ` f.state = 'committed' AND f.digest_due IS NULL AND COALESCE(f.md5_agrees, 1) = 1` + unexpired
	saidOf   = ` f.md5_said = ? AND f.md5_agrees = 1 AND f.state = 'committed'` + unexpired

	heldByMD5 = `SELECT c.id, c.size, c.digest FROM contents c WHERE c.md5 = ? AND` + sound + `
		AND EXISTS (SELECT 1 FROM files f WHERE f.content_id = c.id AND f.owner = ? AND` + lookedAt + `)
		UNION SELECT c.id, c.size, c.digest FROM files f JOIN contents c ON c.id = f.content_id WHERE f.owner = ? AND` + saidOf + `AND` + sound + ` LIMIT 2`
)

// HeldByMD5 gives for each MD5 the content that the owner has of it, nil for
// none, all of one moment. Two contents of one MD5 are none: which was meant is
// not known.
func (db *DB) HeldByMD5(ctx context.Context, owner protocol.Owner, sums [][md5.Size]byte) (held []*Held, err error) {
	err = db.view(ctx, "look up contents by their MD5", func(q query) error {
		held = make([]*Held, len(sums))
		for i, sum := range sums {
			list, err := q.heldByMD5(owner, sum)
			if err != nil {
				return err
			}
			if len(list) == 1 {
				held[i] = &list[0]
			}
		}
		return nil
	})
	return held, err
}

func (q query) heldByMD5(owner protocol.Owner, sum [md5.Size]byte) (list []Held, err error) {
	args := []any{sum[:], string(owner), q.now, string(owner), sum[:], q.now}
	err = q.each(heldByMD5, args, func(scan scanFunc) error {
		var h Held
		var digest []byte
		if err := scan(&h.Content, &h.Size, &digest); err != nil {
			return err
		}
		d, err := decodeHash[protocol.Digest](digest)
		if err != nil {
			return err
		}
		h.Digest = *d
		list = append(list, h)
		return nil
	})
	return list, err
}

const (
	// digestsAhead is how many of the files that are due are looked at for one of
	// the owner's: what is further back is not looked at soon.
	digestsAhead = 1000
	// DigestsSoon is how long a digest job is expected to be soon, from the file's
	// commit on. One that did not come by then has a reason that lasts: its turn is
	// far away, or the bytes cannot be read.
	DigestsSoon = time.Minute
)

// DigestsPending reports whether files that the owner put a moment ago are due
// for a digest job, among those that come first. Nobody waits for the jobs of
// what was imported, which may take days.
func (db *DB) DigestsPending(ctx context.Context, owner protocol.Owner) (pending bool, err error) {
	err = db.look(ctx, "look whether digest jobs of an owner are pending", func(q query) error {
		pending, err = q.one(`SELECT 1 FROM (SELECT owner, committed_at, imported_from FROM files WHERE state = 'committed' AND digest_due <= ?
			ORDER BY digest_due LIMIT ?) f WHERE f.owner = ? AND f.imported_from IS NULL AND f.committed_at > ? LIMIT 1`,
			[]any{q.now, digestsAhead, string(owner), q.now - DigestsSoon.Milliseconds()}, new(int))
		return err
	})
	return pending, err
}

// Adoption is a file about to be made on a content that its owner has of an MD5.
type Adoption struct {
	UID         protocol.UID
	Name        string
	Content     ContentID
	MD5         [md5.Size]byte
	ETag        string
	CommittedAt time.Time
}

// Adopt makes a committed file for each of the list whose content the owner has
// still, in one durable transaction, and gives them in the list's order, nil
// where it has not. What one of the owner's files shows of the content these show
// at once. A quota that does not allow all of them is
// KindQuotaExceeded, and nothing was made.
func (db *DB) Adopt(ctx context.Context, owner protocol.Owner, list []Adoption) (files []*protocol.File, err error) {
	err = db.update(ctx, full, "make files on contents that are there", func(t *tx) error {
		files = make([]*protocol.File, len(list))
		var more Usage
		for _, i := range byContent(list) {
			if err := t.adoptHeld(owner, list[i]); err != nil {
				if errors.Is(err, errNotHeld) {
					continue
				}
				return err
			}
			f, err := t.patched(owner, list[i].UID)
			if err != nil {
				return err
			}
			files[i], more = &f, more.plus(Usage{Bytes: f.Size, Files: 1})
		}
		for _, f := range files {
			if f == nil {
				continue
			}
			if err := t.emitCommitted(*f); err != nil {
				return err
			}
		}
		if more == (Usage{}) {
			return nil
		}
		return t.reserve(owner, more, db.cfg.DefaultQuota)
	})
	return files, err
}

var errNotHeld = errors.New("the owner has the content no more")

// byContent are the indexes of the list in the order in which contents are
// locked.
func byContent(list []Adoption) []int {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[a].Content, list[b].Content) })
	return order
}

// adoptHeld makes a committed file on a content. Whether the owner has it still
// is asked once its row is locked, in a later statement: whoever dooms it holds
// the lock.
func (t *tx) adoptHeld(owner protocol.Owner, a Adoption) error {
	var size int64
	found, err := t.one(`SELECT size FROM contents WHERE id = ? AND state = 'live' FOR UPDATE`, []any{a.Content}, &size)
	if err != nil || !found {
		return cmp.Or(err, errNotHeld)
	}
	var mediaType *string
	var looked, said int
	found, err = t.one(`SELECT c.media_type,
			CASE WHEN c.md5 = ? AND EXISTS (SELECT 1 FROM files f WHERE f.content_id = c.id AND f.owner = ? AND`+lookedAt+`) THEN 1 ELSE 0 END,
			CASE WHEN EXISTS (SELECT 1 FROM files f WHERE f.content_id = c.id AND f.owner = ? AND`+saidOf+`) THEN 1 ELSE 0 END
		FROM contents c WHERE c.id = ? AND`+sound,
		[]any{a.MD5[:], string(owner), t.now, string(owner), a.MD5[:], t.now, a.Content}, &mediaType, &looked, &said)
	if err != nil || !found || looked+said == 0 {
		return cmp.Or(err, errNotHeld)
	}
	fields, due := FileFields{Owner: owner, Name: a.Name}, t.digestDue(size, true)
	if looked > 0 {
		// What is known of the content is known to its owner.
		fields.MediaType, due = mediaType, nil
	}
	// The row is open within this transaction only.
	if err := t.insertFile(fields, a.UID, a.CommittedAt); err != nil {
		return err
	}
	if err := t.point(a.UID, a.Content, a.ETag, ms(a.CommittedAt), due); err != nil {
		return err
	}
	return t.say(a.UID, &SaidMD5{MD5: a.MD5, Agrees: true})
}
