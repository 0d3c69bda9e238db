// Package once makes a request happen at most once, whatever service does it
// (WIRE 10): the answer of the first is given again to those that come under
// the same key.
package once

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Request is the key that a caller chose, and the SHA-256 that tells whether a
// repeated request is the same one. nil is a request without a key.
type Request struct {
	Key string
	Sum [32]byte
}

// Reply is an answer that a repeated request must get again, byte for byte.
type Reply struct {
	// Created tells an answer of a request that made something from one that
	// found it.
	Created bool
	// Body is the JSON of the answer.
	Body []byte
	// UID is that of the file or upload it is about, or the number of the job.
	UID protocol.UID
}

// ReplyOf renders v as it is answered now and later.
func ReplyOf(created bool, uid protocol.UID, v any) (Reply, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Reply{}, fmt.Errorf("render the answer: %w", err)
	}
	return Reply{Created: created, Body: b, UID: uid}, nil
}

// Record is the row that makes reply repeatable, nil when no key was given.
func (r *Request) Record(reply Reply) *meta.Idempotency {
	if r == nil {
		return nil
	}
	return &meta.Idempotency{Key: r.Key, Request: r.Sum, Answer: reply.Body, Created: reply.Created, UID: reply.UID}
}

// Answers gives what was answered under a key; meta.DB is the one.
type Answers interface {
	Answer(ctx context.Context, owner protocol.Owner, key string) (*meta.Idempotency, error)
}

// Keys are the keys in use. The services of a daemon share them.
type Keys struct {
	answers Answers
	busy    *Locks
}

// NewKeys makes Keys.
func NewKeys(a Answers) *Keys { return &Keys{answers: a, busy: NewLocks()} }

// Do runs do, or gives the answer recorded for the same request. A request in
// flight under the same key is waited for. do records its answer in the
// transaction that has its effect: where another process was first, that has no
// effect and fails, and what is recorded then is the answer. It may fail over
// what the first one's effect is, before it comes to the key.
func (k *Keys) Do(ctx context.Context, owner protocol.Owner, r *Request, do func() (Reply, error)) (Reply, error) {
	if r == nil {
		return do()
	}
	unlock, err := k.busy.Lock(ctx, string(owner)+"\x00"+r.Key)
	if err != nil {
		return Reply{}, err
	}
	defer unlock()
	if reply, found, err := k.recorded(ctx, owner, r); found || err != nil {
		return reply, err
	}
	reply, failed := do()
	if failed == nil || ctx.Err() != nil || unanswered(failed) {
		return reply, failed
	}
	if first, found, err := k.recorded(ctx, owner, r); found && err == nil {
		return first, nil
	}
	return reply, failed
}

// unanswered reports whether the database itself failed, which is not asked again
// at once.
func unanswered(err error) bool {
	kind := protocol.KindOf(err)
	return kind == protocol.KindUnavailable || kind == protocol.KindInternal
}

// recorded is the answer that was given to the request before, if any.
func (k *Keys) recorded(ctx context.Context, owner protocol.Owner, r *Request) (reply Reply, found bool, err error) {
	a, err := k.answers.Answer(ctx, owner, r.Key)
	if err != nil || a == nil {
		return Reply{}, false, err
	}
	if a.Request != r.Sum {
		return Reply{}, false, &protocol.Error{Kind: protocol.KindIdempotencyMismatch,
			Message: "this Idempotency-Key was used for another request; nothing was done",
			Hint:    "Use a new key for a new request."}
	}
	return Reply{Created: a.Created, Body: a.Answer, UID: a.UID}, true, nil
}
