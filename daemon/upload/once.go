package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Once makes a request happen at most once: the key its caller chose, and the
// SHA-256 that tells whether a repeated request is the same one (WIRE 10).
type Once struct {
	Key     string
	Request [32]byte
}

// Reply is an answer that a repeated request must get again, byte for byte.
type Reply struct {
	// Created tells an answer of a request that made something from one that
	// found it.
	Created bool
	// Body is the JSON of the answer.
	Body []byte
	UID  protocol.UID
}

// exactlyOnce runs do, or gives the answer recorded for the same request. A
// request in flight under the same key is waited for.
func (s *Service) exactlyOnce(ctx context.Context, owner protocol.Owner, o *Once, do func() (Reply, error)) (Reply, error) {
	if o == nil {
		return do()
	}
	unlock, err := s.once.lock(ctx, string(owner)+"\x00"+o.Key)
	if err != nil {
		return Reply{}, err
	}
	defer unlock()
	a, err := s.db.Answer(ctx, owner, o.Key)
	if err != nil {
		return Reply{}, err
	}
	if a == nil {
		return do()
	}
	if a.Request != o.Request {
		return Reply{}, &protocol.Error{Kind: protocol.KindIdempotencyMismatch,
			Message: "this Idempotency-Key was used for another request; nothing was done",
			Hint:    "Use a new key for a new request."}
	}
	return Reply{Created: a.Created, Body: a.Answer, UID: a.UID}, nil
}

// record is the row that makes r repeatable, nil when no key was given.
func (o *Once) record(r Reply) *meta.Idempotency {
	if o == nil {
		return nil
	}
	return &meta.Idempotency{Key: o.Key, Request: o.Request, Answer: r.Body, Created: r.Created, UID: r.UID}
}

// reply renders v, an Upload or a File, as it is answered now and later.
func reply(created bool, uid protocol.UID, v any) (Reply, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Reply{}, fmt.Errorf("render the answer: %w", err)
	}
	return Reply{Created: created, Body: b, UID: uid}, nil
}

// keyedLock is a mutex per key that exists while somebody wants it.
type keyedLock struct {
	mu   sync.Mutex
	held map[string]*keyHolder // guarded by mu
}

type keyHolder struct {
	turn  chan struct{} // holds one token while the key is free
	users int           // guarded by keyedLock.mu
}

func newKeyedLock() *keyedLock { return &keyedLock{held: map[string]*keyHolder{}} }

// lock waits for the key and returns what frees it.
func (k *keyedLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	h := k.held[key]
	if h == nil {
		h = &keyHolder{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		k.held[key] = h
	}
	h.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(k.held, key)
		}
	}
	select {
	case <-h.turn:
		return func() { h.turn <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
