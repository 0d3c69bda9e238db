package meta

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Scope is whose content a claim reaches.
type Scope string

// The scopes of claims.
const (
	// ScopeOwner: content that one of the claimer's own live files points to.
	ScopeOwner Scope = "owner"
	// ScopeGlobal: content that anybody's live file points to.
	ScopeGlobal Scope = "global"
	// ScopeOff: none.
	ScopeOff Scope = "off"
)

// claimRefused is the one answer to every claim that does not fit, so that it
// tells nothing about what is stored.
func claimRefused() error {
	return &protocol.Error{Kind: protocol.KindClaimRefused, Message: "the claim was refused, nothing was changed",
		Hint: "Send the parts instead."}
}

// notForeign leaves out contents in an object that is not ours, of which they
// are all: others may change or delete it, and a claim is to be no less durable
// than a put.
const notForeign = ` AND NOT EXISTS (SELECT 1 FROM extents e JOIN blobs b ON b.id = e.blob_id
	WHERE e.content_id = c.id AND e.seq = 0 AND b.origin = 'foreign')`

// reachable gives a live content for which the condition on c holds and that
// the owner's claims reach; 0 without one.
func (q query) reachable(owner protocol.Owner, scope Scope, where string, args ...any) (id ContentID, err error) {
	text := `SELECT c.id FROM contents c CROSS JOIN files f WHERE ` + where +
		` AND c.state = 'live' AND c.digest IS NOT NULL AND f.content_id = c.id AND f.state = 'committed'` + notForeign + unexpired
	args = append(args, q.now)
	switch scope {
	case ScopeOwner:
		text, args = text+`AND f.owner = ? `, append(args, string(owner))
	case ScopeGlobal:
	default:
		return 0, nil
	}
	_, err = q.one(text+`LIMIT 1`, args, &id)
	return id, err
}

// MayHave reports whether the owner's claims reach a live content of this size
// and fingerprint. Content without bytes is never claimed.
func (db *DB) MayHave(ctx context.Context, owner protocol.Owner, scope Scope, size int64, fp protocol.Fingerprint) (bool, error) {
	may, err := db.MayHaveEach(ctx, owner, scope, []protocol.ProbeItem{{Size: size, Fingerprint: fp}})
	return err == nil && may[0], err
}

// MayHaveEach is MayHave of many, each answered at its place, at one moment.
func (db *DB) MayHaveEach(ctx context.Context, owner protocol.Owner, scope Scope, items []protocol.ProbeItem) ([]bool, error) {
	may := make([]bool, len(items))
	err := db.view(ctx, "look up fingerprints", func(q query) error {
		for i, it := range items {
			if it.Size <= 0 {
				continue
			}
			id, err := q.reachable(owner, scope, `c.size = ? AND c.fingerprint = ?`, it.Size, it.Fingerprint[:])
			if err != nil {
				return err
			}
			may[i] = id != 0
		}
		return nil
	})
	return may, err
}

// Challenge is what a claimer must prove.
type Challenge struct {
	Digest    protocol.Digest
	Nonce     protocol.Nonce
	Ranges    [][2]int64
	ExpiresAt time.Time
}

// claimedUpload is an open upload that may be claimed, with the challenge
// that was given last.
type claimedUpload struct {
	openUpload
	nonce, digest, ranges []byte
	expires               sql.Null[int64]
}

// lockClaim locks an upload for a claim: KindNotFound where lockOpen has it,
// KindClaimRefused where it cannot be claimed.
func (t *tx) lockClaim(owner protocol.Owner, uid protocol.UID) (u claimedUpload, err error) {
	if u.openUpload, err = t.lockOpen(owner, uid); err != nil {
		if protocol.KindOf(err) == protocol.KindCommitted {
			err = claimRefused()
		}
		return u, err
	}
	var maybe bool
	_, err = t.one(`SELECT maybe, nonce, nonce_digest, nonce_ranges, nonce_expires_at FROM uploads WHERE uid = ?`,
		[]any{int64(uid)}, &maybe, &u.nonce, &u.digest, &u.ranges, &u.expires)
	if err == nil && (!maybe || u.size.V <= 0) {
		err = claimRefused()
	}
	return u, err
}

// StartClaim keeps the challenge for the upload, in place of an earlier one,
// and gives the content to prove. Its ranges are the caller's choice for the
// upload's size. An upload that is unknown, another owner's, aborted, deleted
// or expired is KindNotFound. All else is KindClaimRefused: an upload that is
// committed, was not told maybe, or has no size; no live content of this digest
// and size within reach. A power cut may undo it.
func (db *DB) StartClaim(ctx context.Context, owner protocol.Owner, uid protocol.UID, ch Challenge, scope Scope) (c Content, err error) {
	err = db.update(ctx, relaxed, "start a claim", func(t *tx) error {
		u, err := t.lockClaim(owner, uid)
		if err != nil {
			return err
		}
		if c, err = t.claimable(owner, scope, ch.Digest, u.size.V); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE uploads SET nonce = ?, nonce_digest = ?, nonce_ranges = ?, nonce_expires_at = ? WHERE uid = ?`,
			ch.Nonce[:], ch.Digest[:], encodeRanges(ch.Ranges), ms(ch.ExpiresAt), int64(uid))
		return err
	})
	return c, err
}

// claimable gives the content within reach; without one KindClaimRefused.
func (q query) claimable(owner protocol.Owner, scope Scope, d protocol.Digest, size int64) (c Content, err error) {
	id, err := q.reachable(owner, scope, `c.digest = ? AND c.size = ?`, d[:], size)
	if err == nil && id == 0 {
		err = claimRefused()
	}
	if err != nil {
		return c, err
	}
	if c, err = q.content(id); protocol.KindOf(err) == protocol.KindNotFound {
		err = claimRefused() // its last file was deleted between two statements
	}
	return c, err
}

// TakeChallenge gives the upload's challenge, once, and the content to check
// the proof against. It is KindClaimRefused for a nonce that is not the one
// given last, was used or has expired, and where the content is out of reach
// meanwhile; KindNotFound where StartClaim is.
//
// An error of readable, which is asked whether the caller can read the content, is
// given as it is: then the challenge can be answered still.
func (db *DB) TakeChallenge(ctx context.Context, owner protocol.Owner, uid protocol.UID, nonce protocol.Nonce, scope Scope, readable func(Content) error) (ch Challenge, c Content, err error) {
	var refused error
	err = db.update(ctx, kept, "take a challenge", func(t *tx) error {
		refused, ch, c = nil, Challenge{}, Content{}
		u, err := t.lockClaim(owner, uid)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(u.nonce, nonce[:]) != 1 {
			return claimRefused()
		}
		if _, err := t.exec(`UPDATE uploads SET nonce = NULL, nonce_digest = NULL, nonce_ranges = NULL, nonce_expires_at = NULL WHERE uid = ?`,
			int64(uid)); err != nil {
			return err
		}
		// From here on the nonce is used, whatever comes: a refusal must not
		// undo that.
		if u.expires.V <= t.now {
			refused = claimRefused()
			return nil
		}
		if ch, err = u.challenge(); err != nil {
			return err
		}
		c, err = t.claimable(owner, scope, ch.Digest, u.size.V)
		if protocol.KindOf(err) == protocol.KindClaimRefused {
			refused, err = err, nil
			return err
		}
		if err == nil {
			err = readable(c)
		}
		return err
	})
	if err == nil {
		err = refused
	}
	return ch, c, err
}

func (u claimedUpload) challenge() (ch Challenge, err error) {
	d, err := decodeHash[protocol.Digest](u.digest)
	if err != nil || d == nil {
		return ch, broken("the challenge of upload "+u.uid.String()+" has no digest", err)
	}
	ranges, err := decodeRanges(u.ranges)
	return Challenge{Digest: *d, Nonce: protocol.Nonce(u.nonce), Ranges: ranges, ExpiresAt: timeOf(u.expires.V)}, err
}

// claimant is a claim whose proof was checked.
type claimant struct {
	nonce protocol.Nonce
	proof [32]byte
}

// Claim turns an open upload into a file on the content, whose proof the
// caller checked at gen, in one durable transaction. The content's row is
// locked first: where it is not live any more, changed since, or is out of
// reach, the claim is KindClaimRefused. The upload's parts are forgotten and
// its blobs doomed; Claimed gives the file again for the same nonce and proof.
func (db *DB) Claim(ctx context.Context, owner protocol.Owner, uid protocol.UID, content ContentID, gen int64,
	nonce protocol.Nonce, proof [32]byte, etag string, at time.Time, scope Scope,
) (f protocol.File, err error) {
	err = db.update(ctx, full, "claim", func(t *tx) error {
		u, err := t.lockClaim(owner, uid)
		if err != nil {
			return err
		}
		if err := t.adopt(owner, scope, content, gen, u.size.V); err != nil {
			return err
		}
		blobs, err := t.blobsOf(u.openUpload)
		if err != nil {
			return err
		}
		if err := t.endUpload(u.openUpload, u.size.V, &claimant{nonce, proof}); err != nil {
			return err
		}
		if err := t.point(uid, content, etag, ms(at), t.digestDue(u.size.V, true)); err != nil {
			return err
		}
		if err := t.doom(blobs); err != nil {
			return err
		}
		if f, err = t.patched(owner, uid); err != nil {
			return err
		}
		if err := t.emitCommitted(f); err != nil {
			return err
		}
		return t.reserve(owner, Usage{Uploads: -1}, db.cfg.DefaultQuota)
	})
	return f, err
}

// adopt locks a content for another file to point to. Whether files of the
// owner still point to it is asked in a later statement: whoever dooms the
// content holds the lock.
func (t *tx) adopt(owner protocol.Owner, scope Scope, id ContentID, gen, size int64) error {
	found, err := t.one(`SELECT 1 FROM contents WHERE id = ? AND state = 'live' AND gen = ? AND size = ? FOR UPDATE`, []any{id, gen, size}, new(int))
	if err != nil {
		return err
	}
	if found {
		reached, err := t.reachable(owner, scope, `c.id = ?`, id)
		if err != nil || reached != 0 {
			return err
		}
	}
	return claimRefused()
}

// Claimed gives the file that the same nonce and proof made before, while it
// lives; else nil.
func (db *DB) Claimed(ctx context.Context, owner protocol.Owner, uid protocol.UID, nonce protocol.Nonce, proof [32]byte) (f *protocol.File, err error) {
	err = db.view(ctx, "look up a claim", func(q query) error {
		f = nil
		var n, p []byte
		if _, err := q.one(`SELECT claimed_nonce, claimed_proof FROM uploads WHERE uid = ?`, []any{int64(uid)}, &n, &p); err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(n, nonce[:])&subtle.ConstantTimeCompare(p, proof[:]) != 1 {
			return nil
		}
		file, err := q.file(owner, uid)
		switch {
		case protocol.KindOf(err) == protocol.KindNotFound:
			return nil
		case err == nil:
			f = &file
		}
		return err
	})
	return f, err
}
