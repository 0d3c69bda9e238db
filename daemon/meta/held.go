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

// heldBy holds of contents c that a live file of the owner's points to, whose
// own digest job has run: before that the MD5 would tell that somebody else has
// the content. A file that has not the MD5 it was to have does not count. A
// content that is damaged is none, nor is one in an object that is not ours, as
// for claims.
const heldBy = ` c.state = 'live' AND c.digest IS NOT NULL AND EXISTS (SELECT 1 FROM files f WHERE f.content_id = c.id
	AND f.owner = ? AND f.state = 'committed' AND f.digest_due IS NULL AND COALESCE(f.md5_agrees, 1) = 1` + unexpired + `)` + notForeign

// HeldByMD5 gives for each MD5 the content that the owner has of it, nil for
// none, all of one moment. Two contents of one MD5 are none: which was meant is
// not known.
func (db *DB) HeldByMD5(ctx context.Context, owner protocol.Owner, sums [][md5.Size]byte) (held []*Held, err error) {
	err = db.view(ctx, "look up contents by their MD5", func(q query) error {
		held = make([]*Held, len(sums))
		for i, sum := range sums {
			var list []Held
			err := q.each(`SELECT c.id, c.size, c.digest FROM contents c WHERE c.md5 = ? AND`+heldBy+` LIMIT 2`,
				[]any{sum[:], string(owner), q.now}, func(scan scanFunc) error {
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

// digestsAhead is how many of the files that are due are looked at for one of
// the owner's: what is further back is not looked at soon.
const digestsAhead = 1000

// DigestsPending reports whether files of the owner's are due for a digest job,
// among those that come first.
func (db *DB) DigestsPending(ctx context.Context, owner protocol.Owner) (pending bool, err error) {
	err = db.look(ctx, "look whether digest jobs of an owner are pending", func(q query) error {
		pending, err = q.one(`SELECT 1 FROM (SELECT owner FROM files WHERE state = 'committed' AND digest_due <= ?
			ORDER BY digest_due LIMIT ?) f WHERE f.owner = ? LIMIT 1`, []any{q.now, digestsAhead, string(owner)}, new(int))
		return err
	})
	return pending, err
}

// Adoption is a file about to be made on a content that its owner has.
type Adoption struct {
	UID         protocol.UID
	Name        string
	Content     ContentID
	ETag        string
	CommittedAt time.Time
}

// Adopt makes a committed file for each of the list whose content the owner has
// still, in one durable transaction, and gives them in the list's order, nil
// where it has not. What is known of the content the files show at once: the
// owner has one that does. A quota that does not allow all of them is
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
	found, err := t.one(`SELECT 1 FROM contents WHERE id = ? AND state = 'live' FOR UPDATE`, []any{a.Content}, new(int))
	if err != nil {
		return err
	}
	var mediaType *string
	if found {
		found, err = t.one(`SELECT c.media_type FROM contents c WHERE c.id = ? AND c.md5 IS NOT NULL AND`+heldBy, []any{a.Content, string(owner), t.now}, &mediaType)
	}
	if err != nil {
		return err
	}
	if !found {
		return errNotHeld
	}
	fields := FileFields{Owner: owner, Name: a.Name, MediaType: mediaType}
	// The row is open within this transaction only.
	if err := t.insertFile(fields, a.UID, fileOpen, a.CommittedAt); err != nil {
		return err
	}
	return t.point(a.UID, a.Content, a.ETag, ms(a.CommittedAt), nil)
}
