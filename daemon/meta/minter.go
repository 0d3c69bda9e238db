package meta

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const (
	workerBits   = 10
	sequenceBits = 12
	// reserveAhead is how far beyond the time in use uids are reserved, in
	// milliseconds. A restart skips at most that much.
	reserveAhead = 60_000
	// lastMilli is the last time that fits a uid, in the year 2093.
	lastMilli = 1<<41 - 1
)

// reserver raises a worker's high-water mark durably and gives the one before.
type reserver interface {
	ReserveUIDs(ctx context.Context, worker int, through int64) (previous int64, err error)
}

// Minter makes uids that are never made again: within a run they only rise,
// whatever the clock does, and none lies above the high-water mark in the
// database, above which the next run begins.
type Minter struct {
	db     reserver
	worker int
	clock  func() time.Time

	mu sync.Mutex
	// milli and sequence are those of the last uid.
	milli    int64
	sequence int64
	// mark is the last millisecond that is reserved, -1 before the first
	// reservation.
	mark int64
	// reserving is closed when the reservation that runs ends; nil without one.
	reserving chan struct{}
}

// NewMinter makes a minter for one worker number (0 to 1,023), which nobody
// else may use.
func NewMinter(db reserver, worker int, clock func() time.Time) (*Minter, error) {
	if worker < 0 || worker >= 1<<workerBits {
		return nil, fmt.Errorf("worker number %d is not within 0 to %d", worker, 1<<workerBits-1)
	}
	return &Minter{db: db, worker: worker, clock: clock, mark: -1}, nil
}

// Next gives a new uid. It waits for the database only where the reserved
// time is used up, which a run in which the clock goes steadily never sees: one
// caller in half the reserved time reserves more on its way. The error is the
// database's, the context's, or KindInternal when the time a uid can hold is
// used up.
func (m *Minter) Next(ctx context.Context) (protocol.UID, error) {
	for {
		s := m.next()
		if s.milli > lastMilli {
			return 0, protocol.Errorf(protocol.KindInternal, "the uids of worker %d are used up: its clock has been in the year 2093", m.worker)
		}
		if s.through != 0 {
			if err := m.reserve(ctx, s.through, s.wait); err != nil && s.uid == 0 {
				return 0, err
			}
		}
		if s.uid != 0 {
			return s.uid, nil
		}
		select {
		case <-s.wait:
		case <-ctx.Done():
			return 0, fmt.Errorf("mint a uid: %w", ctx.Err())
		}
	}
}

// step is what a caller of Next does: take uid, if it is not 0; reserve up to
// through, if that is not 0, and close wait; else wait.
type step struct {
	uid     protocol.UID
	milli   int64
	through int64
	wait    chan struct{}
}

func (m *Minter) next() (s step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	milli, sequence := m.milli, m.sequence+1
	if now := m.now(); now > milli {
		milli, sequence = now, 0
	} else if sequence == 1<<sequenceBits {
		milli, sequence = milli+1, 0
	}
	s.milli = milli
	if milli <= m.mark {
		m.milli, m.sequence = milli, sequence
		s.uid = protocol.UID(milli<<(workerBits+sequenceBits) | int64(m.worker)<<sequenceBits | sequence)
	}
	if milli <= m.mark-reserveAhead/2 || milli > lastMilli {
		return s
	}
	if s.wait = m.reserving; s.wait == nil {
		s.wait = make(chan struct{})
		m.reserving, s.through = s.wait, min(milli+reserveAhead, lastMilli)
	}
	return s
}

// now is the clock's time since Epoch, kept within what a uid can hold.
func (m *Minter) now() int64 {
	return min(max(m.clock().Sub(protocol.Epoch).Milliseconds(), 0), lastMilli-reserveAhead)
}

// reserve raises the mark without holding the lock, so that callers go on
// below it. The first reservation begins above all that runs before this one
// reserved.
func (m *Minter) reserve(ctx context.Context, through int64, done chan struct{}) error {
	previous, err := m.db.ReserveUIDs(ctx, m.worker, through)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reserving = nil
	close(done)
	switch {
	case err != nil:
		return err
	case m.mark < 0:
		m.milli, m.sequence = previous+1, -1
	}
	m.mark = max(m.mark, through)
	return nil
}
