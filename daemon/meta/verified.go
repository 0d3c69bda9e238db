package meta

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Scrubbable is a content that can be compared with its record.
type Scrubbable struct {
	Content ContentID
	Size    int64
	// VerifiedAt is when all of it was known to be sound last.
	VerifiedAt time.Time
	// Damaged: it is marked. What has passed since is not known before it is read.
	Damaged bool
}

// Scrubbable lists up to limit contents whose blocks are on record, damaged ones
// too, by id, from the one after the given on up to until.
func (db *DB) Scrubbable(ctx context.Context, after, until ContentID, limit int) (list []Scrubbable, err error) {
	err = db.look(ctx, "list contents to scrub", func(q query) error {
		list = nil
		return q.each(`SELECT id, size, COALESCE(verified_at, 0), state = 'damaged' FROM contents
			WHERE id > ? AND id <= ? AND state IN ('live', 'damaged') AND digest IS NOT NULL ORDER BY id LIMIT ?`, []any{after, until, limit}, func(scan scanFunc) error {
			var s Scrubbable
			var at int64
			err := scan(&s.Content, &s.Size, &at, &s.Damaged)
			s.VerifiedAt = timeOf(at)
			list = append(list, s)
			return err
		})
	})
	return list, err
}

// sizePage is how many ids are added up at once.
const sizePage = 10_000

// ScrubSize is how many bytes the contents have that Scrubbable lists up to
// last, the id of the newest content there is.
func (db *DB) ScrubSize(ctx context.Context) (bytes int64, last ContentID, err error) {
	err = db.look(ctx, "find the newest content", func(q query) error {
		_, err := q.one(`SELECT COALESCE(MAX(id), 0) FROM contents`, nil, &last)
		return err
	})
	for after := ContentID(0); err == nil && after < last; after += sizePage {
		err = db.look(ctx, "add up contents to scrub", func(q query) error {
			var n int64
			_, err := q.one(`SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM contents
				WHERE id > ? AND id <= ? AND state IN ('live', 'damaged') AND digest IS NOT NULL`, []any{after, min(after+sizePage, last)}, &n)
			bytes += n
			return err
		})
	}
	return bytes, last, err
}

// Verified is a content that was read through, from its first block to its
// last, all of it at Gen.
type Verified struct {
	Content ContentID
	Gen     int64
}

// MarkVerified notes that contents are sound. Of those whose bytes were moved
// since, or that were found damaged or healed, nothing is noted (HealVerified is for
// these). A power cut may take it back.
func (db *DB) MarkVerified(ctx context.Context, list []Verified) error {
	list = slices.SortedFunc(slices.Values(list), func(a, b Verified) int { return cmp.Compare(a.Content, b.Content) })
	return db.update(ctx, relaxed, "mark contents verified", func(t *tx) error {
		for _, v := range list {
			if _, err := t.exec(`UPDATE contents SET verified_at = ? WHERE id = ? AND gen = ? AND state = 'live'`, t.now, v.Content, v.Gen); err != nil {
				return err
			}
		}
		return nil
	})
}
