package meta

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/protocol"
)

// HealVerified takes the mark off a damaged content that was read through and
// matched its record, all of it at v.Gen: what damaged it has passed.
// It is served again where it lies, and its files are told of it. Others of equal bytes
// that are damaged, and it itself where a live one exists, are folded into the
// one that is live then, as by the put of equal bytes. Of a content that is not
// damaged, was moved, healed or found damaged again since, or is gone, nothing is
// changed, and it is not healed.
func (db *DB) HealVerified(ctx context.Context, v Verified) (healed bool, err error) {
	err = db.update(ctx, full, "heal a content", func(t *tx) error {
		healed = false
		r, live, err := t.lockHeal(v)
		if err != nil || r.digest == nil {
			return err
		}
		if live == 0 {
			if err := t.revive(v.Content); err != nil {
				return err
			}
			live = v.Content
		}
		folded, err := t.foldDamaged(live, r)
		if err != nil {
			return err
		}
		healed = true
		return t.offer(folded)
	})
	return healed && err == nil, err
}

// revive takes the mark off a locked content. It raises gen: what a reading found
// before is of no weight for or against a mark that comes later. Its parts are to
// be joined as those of one just committed: who was to do that may have met the
// mark.
func (t *tx) revive(id ContentID) error {
	if _, err := t.exec(`UPDATE contents SET state = 'live', gen = gen + 1, verified_at = ? WHERE id = ?`, t.now, id); err != nil {
		return err
	}
	if err := t.emitContent(protocol.EventContentHealed, id, 0, eventsInline); err != nil {
		return err
	}
	extents, err := t.extents(id)
	if err != nil {
		return err
	}
	return t.composeSoon(id, extents)
}

// lockHeal locks the files of the damaged contents that equal the one to be
// healed, where it has such, and then all of these contents, in the order of
// all who lock several. r.digest is nil where nothing is to be healed; live is
// the content of equal bytes that is not damaged, 0 for none.
func (t *tx) lockHeal(v Verified) (r received, live ContentID, err error) {
	var digest []byte
	found, err := t.one(`SELECT digest, size FROM contents WHERE id = ? AND gen = ? AND state = 'damaged' AND digest IS NOT NULL`,
		[]any{v.Content, v.Gen}, &digest, &r.size)
	if err != nil || !found {
		return r, 0, err
	}
	equal, err := ids[ContentID](t.query, `SELECT id FROM contents WHERE digest = ? AND size = ? AND state IN ('live', 'damaged') ORDER BY id`, digest, r.size)
	if err != nil {
		return r, 0, err
	}
	if len(equal) > 1 {
		if err := t.lockFilesOf(equal); err != nil {
			return r, 0, err
		}
	}
	same := false
	for _, id := range equal {
		var state string
		var gen int64
		if _, err := t.one(`SELECT state, gen FROM contents WHERE id = ? FOR UPDATE`, []any{id}, &state, &gen); err != nil {
			return r, 0, err
		}
		switch {
		case state == ContentLive:
			live = id
		case id == v.Content:
			same = state == ContentDamaged && gen == v.Gen
		}
	}
	if same {
		r.digest, err = decodeHash[protocol.Digest](digest)
	}
	return r, live, err
}

// lockFilesOf locks the files that damaged ones of the contents have. No file
// comes to these.
func (t *tx) lockFilesOf(contents []ContentID) error {
	var uids []protocol.UID
	for _, id := range contents {
		list, err := ids[protocol.UID](t.query, `SELECT f.uid FROM files f JOIN contents c ON c.id = f.content_id WHERE c.id = ? AND c.state = 'damaged'`, id)
		if err != nil {
			return err
		}
		uids = append(uids, list...)
	}
	slices.Sort(uids)
	for _, uid := range uids {
		if _, err := t.lockRow(uid); err != nil {
			return err
		}
	}
	return nil
}
