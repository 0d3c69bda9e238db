package meta

import (
	"bytes"
	"context"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// answerKept is how long an answer is given again.
const answerKept = 24 * time.Hour

// Answer gives what was kept under the owner's key, or nil when nothing was in
// the last 24 h. The caller compares the request.
func (db *DB) Answer(ctx context.Context, owner protocol.Owner, key string) (idem *Idempotency, err error) {
	err = db.look(ctx, "look up an idempotency key", func(q query) error {
		idem = nil
		i := Idempotency{Key: key}
		var request []byte
		var created int
		found, err := q.one(`SELECT request, answer, created, uid FROM idempotency WHERE owner = ? AND key = ? AND created_at > ?`,
			[]any{string(owner), key, q.now - answerKept.Milliseconds()}, &request, &i.Answer, &created, &i.UID)
		if err != nil || !found {
			return err
		}
		h, err := decodeHash[[32]byte](request)
		if err == nil {
			i.Request, i.Created, idem = *h, created != 0, &i
		}
		return err
	})
	return idem, err
}

// SaveAnswer keeps the answer of a request that had no effect of its own. Its
// errors are those of BeginUpload about keys.
func (db *DB) SaveAnswer(ctx context.Context, owner protocol.Owner, idem Idempotency) error {
	return db.update(ctx, full, "keep an answer", func(t *tx) error { return t.saveAnswer(owner, &idem) })
}

// saveAnswer keeps an answer in the transaction that has the effect, so that
// one is never there without the other. Of what is past its time only the same
// key's goes on the way: all of it is the sweep's to prune, which does not
// believe a clock that was set.
func (t *tx) saveAnswer(owner protocol.Owner, idem *Idempotency) error {
	if idem == nil {
		return nil
	}
	if _, err := t.exec(`DELETE FROM idempotency WHERE owner = ? AND key = ? AND created_at <= ?`,
		string(owner), idem.Key, t.now-answerKept.Milliseconds()); err != nil {
		return err
	}
	answer := idem.Answer
	if answer == nil {
		answer = []byte{}
	}
	n, err := t.exec(`INSERT INTO idempotency (owner, key, request, answer, created, uid, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (owner, key) DO NOTHING`, string(owner), idem.Key, idem.Request[:], answer, flag(idem.Created), int64(idem.UID), t.now)
	if err != nil || n == 1 {
		return err
	}
	var request []byte
	if _, err := t.one(`SELECT request FROM idempotency WHERE owner = ? AND key = ?`, []any{string(owner), idem.Key}, &request); err != nil {
		return err
	}
	if !bytes.Equal(request, idem.Request[:]) {
		return &protocol.Error{Kind: protocol.KindIdempotencyMismatch, Message: "the idempotency key was used for another request, nothing was changed",
			Hint: "Use a new key for a new request."}
	}
	return protocol.Errorf(protocol.KindConflict, "the idempotency key was used for this request already, nothing was changed")
}
