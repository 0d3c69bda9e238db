package meta

import "sync"

// hints tell the queues of this process that there may be something for them.
type hints struct {
	mu sync.Mutex
	to map[chan struct{}]struct{}
}

// JobHints gives a channel in which there is word after each transaction that
// made a job due or cancelled one; words that nobody took yet are one. It is a
// hint: who misses it finds the jobs all the same. stop ends it.
func (db *DB) JobHints() (word <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	db.hints.mu.Lock()
	defer db.hints.mu.Unlock()
	if db.hints.to == nil {
		db.hints.to = map[chan struct{}]struct{}{}
	}
	db.hints.to[c] = struct{}{}
	return c, func() {
		db.hints.mu.Lock()
		defer db.hints.mu.Unlock()
		delete(db.hints.to, c)
	}
}

func (h *hints) raise() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.to {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// jobsDue has the queues told once the transaction is committed.
func (t *tx) jobsDue() { t.due = true }
