package once

import (
	"context"
	"sync"
)

// Locks are a mutex per key that is there while somebody wants it.
type Locks struct {
	mu   sync.Mutex
	held map[string]*holder // guarded by mu
}

type holder struct {
	turn  chan struct{} // holds one token while the key is free
	users int           // guarded by Locks.mu
}

// NewLocks makes Locks.
func NewLocks() *Locks { return &Locks{held: map[string]*holder{}} }

// Lock waits for the key and returns what frees it.
func (l *Locks) Lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	h := l.held[key]
	if h == nil {
		h = &holder{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		l.held[key] = h
	}
	h.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, key)
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
