package meta

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// LinkKey is a key that links are signed with.
type LinkKey struct {
	// ID is never used again.
	ID        int64
	Secret    [32]byte
	CreatedAt time.Time
	// RetiredAt is until when the links that it signed are good, nil for the key
	// that signs.
	RetiredAt *time.Time
}

// LinkKeys gives the keys there are, the one that signs last. At the first need
// it makes that.
func (db *DB) LinkKeys(ctx context.Context) (keys []LinkKey, err error) {
	err = db.look(ctx, "read the keys of links", func(q query) error {
		keys, err = q.linkKeys()
		return err
	})
	if err != nil || len(keys) > 0 && keys[len(keys)-1].RetiredAt == nil {
		return keys, err
	}
	err = db.update(ctx, full, "make the key of links", func(t *tx) error {
		if err := t.lockLinkKeys(); err != nil {
			return err
		}
		if keys, err = t.linkKeys(); err != nil || len(keys) > 0 && keys[len(keys)-1].RetiredAt == nil {
			return err
		}
		if err := t.newLinkKey(); err != nil {
			return err
		}
		keys, err = t.linkKeys()
		return err
	})
	return keys, err
}

// RotateLinkKey makes a new key, with which links are signed from then on, and
// has those that sign no more be good until the time. A key that ends sooner
// keeps its end.
func (db *DB) RotateLinkKey(ctx context.Context, until time.Time) (keys []LinkKey, err error) {
	err = db.update(ctx, full, "rotate the keys of links", func(t *tx) error {
		if err := t.lockLinkKeys(); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE link_keys SET retired_at = ? WHERE id > 0 AND (retired_at IS NULL OR retired_at > ?)`, ms(until), ms(until)); err != nil {
			return err
		}
		if err := t.newLinkKey(); err != nil {
			return err
		}
		keys, err = t.linkKeys()
		return err
	})
	return keys, err
}

// lockLinkKeys has one transaction at a time change them.
func (t *tx) lockLinkKeys() error {
	_, err := t.counter("link_keys", func(n int64) int64 { return n + 1 })
	return err
}

func (t *tx) newLinkKey() error {
	var secret [32]byte
	rand.Read(secret[:])
	_, err := t.exec(`INSERT INTO link_keys (secret, created_at) VALUES (?, ?)`, secret[:], t.now)
	return err
}

func (q query) linkKeys() (keys []LinkKey, err error) {
	err = q.each(`SELECT id, secret, created_at, retired_at FROM link_keys WHERE id > 0 ORDER BY id`, nil, func(scan scanFunc) error {
		var k LinkKey
		var secret []byte
		var created int64
		var retired *int64
		if err := scan(&k.ID, &secret, &created, &retired); err != nil {
			return err
		}
		h, err := decodeHash[[32]byte](secret)
		if err != nil {
			return err
		}
		k.Secret, k.CreatedAt, k.RetiredAt = *h, timeOf(created), timePtr(retired)
		keys = append(keys, k)
		return nil
	})
	return keys, err
}

// settingRevocations counts the revocations of links, of all owners together.
const settingRevocations = "link_revocations"

// LinkRevocations is how many revocations of links there were: a link notes it
// when it is signed, and is revoked by every later one that is about it. So no
// clock decides which came first.
func (db *DB) LinkRevocations(ctx context.Context) (n int64, err error) {
	err = db.look(ctx, "count the revocations of links", func(q query) error {
		n, err = q.revocations()
		return err
	})
	return n, err
}

func (q query) revocations() (n int64, err error) {
	var text string
	found, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingRevocations}, &text)
	if err != nil || !found {
		return 0, err
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, broken(fmt.Sprintf("the setting %s is %.40q, not a number", settingRevocations, text), err)
	}
	return n, nil
}

// RevokeLinks ends the links of one file of the owner's that are signed by now,
// of all files where uid is 0. It does not ask whether there is such a file: a
// link to put one is older than it.
func (db *DB) RevokeLinks(ctx context.Context, owner protocol.Owner, uid protocol.UID) error {
	return db.update(ctx, full, "revoke links", func(t *tx) error { return t.revokeLinks(owner, uid) })
}

func (t *tx) revokeLinks(owner protocol.Owner, uid protocol.UID) error {
	old, err := t.counter(settingRevocations, func(n int64) int64 { return n + 1 })
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO link_revocations (owner, uid, number, revoked_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (owner, uid) DO UPDATE SET number = excluded.number, revoked_at = excluded.revoked_at`,
		string(owner), int64(uid), old+1, t.now)
	return err
}

// LinkRevoked is the number of the last revocation that is about the file, 0 for
// none: links signed before it are no good. count is what LinkRevocations gives:
// a link that knows of more was signed by a state of the database that is lost.
func (db *DB) LinkRevoked(ctx context.Context, owner protocol.Owner, uid protocol.UID) (number, count int64, err error) {
	err = db.look(ctx, "look whether a link was revoked", func(q query) error {
		if _, err := q.one(`SELECT COALESCE(MAX(number), 0) FROM link_revocations WHERE owner = ? AND uid IN (0, ?)`,
			[]any{string(owner), int64(uid)}, &number); err != nil {
			return err
		}
		count, err = q.revocations()
		return err
	})
	return number, count, err
}

// useLink notes that a link that puts is used under the uid. One that was used
// before is KindConflict, also when nothing is left of its file.
func (t *tx) useLink(uid protocol.UID) error {
	n, err := t.exec(`INSERT INTO link_uses (uid, used_at) VALUES (?, ?) ON CONFLICT (uid) DO NOTHING`, int64(uid), t.now)
	if err == nil && n == 0 {
		err = protocol.Errorf(protocol.KindConflict, "the link for uid %s was used before; nothing was recorded", uid)
	}
	return err
}

// PruneLinks forgets up to limit keys that retired by the time, and revocations
// and uses that were made by the other, when no link is good any more that is
// older.
func (db *DB) PruneLinks(ctx context.Context, retired, revoked time.Time, limit int) (n int, err error) {
	err = db.update(ctx, full, "forget about links", func(t *tx) error {
		keys, err := t.exec(`DELETE FROM link_keys WHERE id IN (SELECT id FROM link_keys WHERE id > 0 AND retired_at <= ? ORDER BY id LIMIT ?)`, ms(retired), limit)
		if err != nil {
			return err
		}
		rows, err := t.exec(`DELETE FROM link_revocations WHERE (owner, uid) IN
			(SELECT owner, uid FROM link_revocations WHERE revoked_at <= ? ORDER BY revoked_at LIMIT ?)`, ms(revoked), limit-int(keys))
		if err != nil {
			return err
		}
		uses, err := t.exec(`DELETE FROM link_uses WHERE uid IN (SELECT uid FROM link_uses WHERE used_at <= ? ORDER BY used_at LIMIT ?)`,
			ms(revoked), limit-int(keys+rows))
		n = int(keys + rows + uses)
		return err
	})
	return n, err
}
