package meta

import "sync"

// hints tell queues that there may be something for them.
type hints struct {
	mu sync.Mutex
	// to are the channels of the queues of this process. Guarded by mu.
	to map[chan struct{}]struct{}
	// others tells those of other processes, while there is a queue here that
	// hears of theirs; nil where no others use the database. Guarded by mu.
	others signals
}

// signals carry word between the processes that use one database.
type signals interface {
	// tell has the others given word, soon.
	tell()
	// stop ends it, and waits for that.
	stop()
}

// signaller is an engine whose database other processes use too.
type signaller interface {
	// signals begins to carry word; heard is called for each that comes.
	signals(heard func()) signals
}

// JobHints gives a channel in which there is word after each transaction that
// made a job due or cancelled one, of this process or another that shares the
// database; words that nobody took yet are one. It is a hint: who misses it
// finds the jobs all the same. stop ends it, before Close.
func (db *DB) JobHints() (word <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	db.hints.add(c, db.engine)
	return c, func() { db.hints.remove(c) }
}

func (h *hints) add(c chan struct{}, e engine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.to == nil {
		h.to = map[chan struct{}]struct{}{}
	}
	h.to[c] = struct{}{}
	if s, ok := e.(signaller); ok && h.others == nil {
		h.others = s.signals(h.here)
	}
}

func (h *hints) remove(c chan struct{}) {
	h.mu.Lock()
	delete(h.to, c)
	var last signals
	if len(h.to) == 0 {
		last, h.others = h.others, nil
	}
	h.mu.Unlock()
	if last != nil {
		last.stop() // not while mu is held: word may just be coming
	}
}

// raise gives word of a transaction of this process.
func (h *hints) raise() {
	h.mu.Lock()
	others := h.others
	h.mu.Unlock()
	h.here()
	if others != nil {
		others.tell()
	}
}

// here gives word in this process.
func (h *hints) here() {
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
