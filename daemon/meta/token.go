package meta

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Token is a token as recorded. Its secret is not: Hash is what the secret and
// TokenPepper give.
type Token struct {
	// ID is the public part, which names the token.
	ID     string
	Owner  protocol.Owner
	Scopes []string
	Note   string
	// CreatedAt is the time of recording where it is not given.
	CreatedAt time.Time
	// UsedAt is exact to some minutes.
	UsedAt, ExpiresAt, RevokedAt *time.Time
	Hash                         [32]byte
}

// usedCoarse is how far UsedAt may lie behind.
const usedCoarse = time.Minute

// CreateToken records a token. An id that exists is KindConflict. The first one
// revokes the links that were signed while there was none.
func (db *DB) CreateToken(ctx context.Context, k Token) error {
	return db.createToken(ctx, k, func(*tx, bool) error { return nil })
}

// CreateTokenBy is CreateToken for who has the token of that id, "" for who has
// none. It is KindUnauthenticated where that token is good no more, and without
// one where there is any: what another process made or revoked a moment ago
// counts.
func (db *DB) CreateTokenBy(ctx context.Context, by string, k Token) error {
	return db.createToken(ctx, k, func(t *tx, has bool) error {
		good := by == "" && !has
		if by != "" {
			var err error
			if good, err = t.one(`SELECT id FROM tokens WHERE id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) FOR UPDATE`,
				[]any{by, t.now}, new(string)); err != nil {
				return err
			}
		}
		if !good {
			return &protocol.Error{Kind: protocol.KindUnauthenticated, Message: "the token is not valid any more, or one is needed now; no token was made",
				Hint: "Send Authorization: Bearer osp_… with a token that is valid; `ospd token create` makes one."}
		}
		return nil
	})
}

// createToken records a token where may, which is told whether there were any,
// allows it.
func (db *DB) createToken(ctx context.Context, k Token, may func(t *tx, has bool) error) error {
	return db.update(ctx, full, "create a token", func(t *tx) error {
		has, err := t.hasTokens()
		if err == nil && !has {
			has, err = t.endOpenness()
		}
		if err == nil {
			err = may(t, has)
		}
		if err != nil {
			return err
		}
		created := t.now
		if !k.CreatedAt.IsZero() {
			created = ms(k.CreatedAt)
		}
		n, err := t.exec(`INSERT INTO tokens (id, owner, hash, scopes, note, created_at, used_at, expires_at, revoked_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, k.ID, string(k.Owner), k.Hash[:], strings.Join(k.Scopes, " "),
			k.Note, created, msOf(k.UsedAt), msOf(k.ExpiresAt), msOf(k.RevokedAt))
		if err == nil && n == 0 {
			err = protocol.Errorf(protocol.KindConflict, "there is a token %q already, nothing was changed", k.ID)
		}
		return err
	})
}

// endOpenness revokes the links of a daemon that was open: whoever reached it could
// sign them. It reports whether another made a token first, who held the same lock.
func (t *tx) endOpenness() (has bool, err error) {
	if err := t.revokeLinks(protocol.OwnerLocal, 0); err != nil {
		return false, err
	}
	return t.hasTokens()
}

func (q query) tokens(where string, args ...any) (list []Token, err error) {
	err = q.each(`SELECT id, owner, hash, scopes, note, created_at, used_at, expires_at, revoked_at FROM tokens WHERE `+where, args,
		func(scan scanFunc) error {
			var k Token
			var hash []byte
			var scopes string
			var created int64
			var used, expires, revoked *int64
			if err := scan(&k.ID, &k.Owner, &hash, &scopes, &k.Note, &created, &used, &expires, &revoked); err != nil {
				return err
			}
			h, err := decodeHash[[32]byte](hash)
			if err != nil {
				return err
			}
			k.Hash, k.Scopes, k.CreatedAt = *h, strings.Fields(scopes), timeOf(created)
			k.UsedAt, k.ExpiresAt, k.RevokedAt = timePtr(used), timePtr(expires), timePtr(revoked)
			list = append(list, k)
			return nil
		})
	return list, err
}

// Tokens lists the owner's tokens by id, "" all owners'; those that expired or
// were revoked too.
func (db *DB) Tokens(ctx context.Context, owner protocol.Owner) (list []Token, err error) {
	err = db.look(ctx, "list tokens", func(q query) error {
		if owner == anyOwner {
			list, err = q.tokens(`id > '' ORDER BY id`)
		} else {
			list, err = q.tokens(`owner = ? ORDER BY id`, string(owner))
		}
		return err
	})
	return list, err
}

// TokenByID gives a token, also one that expired or was revoked; the caller
// decides what that means.
func (db *DB) TokenByID(ctx context.Context, id string) (k Token, found bool, err error) {
	err = db.look(ctx, "look up a token", func(q query) error {
		list, err := q.tokens(`id = ?`, id)
		if found = len(list) == 1; found {
			k = list[0]
		}
		return err
	})
	return k, found, err
}

// RevokeToken ends a token for good; repeating it is no error. An unknown one
// is KindNotFound.
func (db *DB) RevokeToken(ctx context.Context, id string) error {
	return db.update(ctx, full, "revoke a token", func(t *tx) error {
		n, err := t.exec(`UPDATE tokens SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?`, t.now, id)
		if err == nil && n == 0 {
			err = protocol.Errorf(protocol.KindNotFound, "there is no token %q", id)
		}
		return err
	})
}

// HasTokens reports whether a token was ever made. Revoked ones count: ending
// the last token must not open the daemon to everybody.
func (db *DB) HasTokens(ctx context.Context) (has bool, err error) {
	err = db.look(ctx, "look for tokens", func(q query) error {
		has, err = q.hasTokens()
		return err
	})
	return has, err
}

func (q query) hasTokens() (bool, error) {
	return q.one(`SELECT id FROM tokens WHERE id > '' ORDER BY id LIMIT 1`, nil, new(string))
}

// TouchToken notes that the token was used, at most once a minute. A power cut
// may undo it; an unknown token is no error.
func (db *DB) TouchToken(ctx context.Context, id string) error {
	return db.update(ctx, relaxed, "touch a token", func(t *tx) error {
		_, err := t.exec(`UPDATE tokens SET used_at = ? WHERE id = ? AND (used_at IS NULL OR used_at <= ?)`,
			t.now, id, t.now-usedCoarse.Milliseconds())
		return err
	})
}

const settingTokenPepper = "token_pepper"

// TokenPepper is the installation's key for the hashes of tokens, made at the
// first need. It keeps a token of another installation from being one here.
func (db *DB) TokenPepper(ctx context.Context) (pepper [32]byte, err error) {
	var text string
	err = db.look(ctx, "read the token pepper", func(q query) error {
		_, err := q.one(`SELECT value FROM settings WHERE name = ?`, []any{settingTokenPepper}, &text)
		return err
	})
	if err == nil && text == "" {
		text, err = db.makePepper(ctx)
	}
	if err != nil {
		return pepper, err
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(pepper) {
		return pepper, broken("the setting "+settingTokenPepper+" is damaged, no token can be checked", err)
	}
	return [32]byte(b), nil
}

// makePepper makes the pepper, or gives the one that was made meanwhile.
func (db *DB) makePepper(ctx context.Context) (text string, err error) {
	var b [32]byte
	rand.Read(b[:])
	err = db.update(ctx, full, "make the token pepper", func(t *tx) error {
		if _, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`,
			settingTokenPepper, hex.EncodeToString(b[:])); err != nil {
			return err
		}
		_, err := t.one(`SELECT value FROM settings WHERE name = ?`, []any{settingTokenPepper}, &text)
		return err
	})
	return text, err
}
