package meta

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// MaxEventPause is the longest that RetryEvents may put a consumer off, and
// that a lease may be: a time farther ahead was written by a wrong clock.
const MaxEventPause = time.Hour

// Batch are events for a consumer to handle, in order.
type Batch struct {
	Events []Event
	// Tries is how often the first of them was taken before without anything
	// being settled. Then it comes alone, so that what fails is known.
	Tries int
	// Lost is how many events were pruned before the consumer came to them.
	Lost int64
	// Wait is how long the consumer is to wait before it asks again, where there
	// are events and they are not for it now: 0 where there are none.
	Wait time.Duration
}

// RegisterConsumer makes the consumer known, whose events begin after those
// there are now, or notes that it lives on. Nothing of what it has not handled
// is pruned for a time (PruneEvents) as long as this is repeated daily.
func (db *DB) RegisterConsumer(ctx context.Context, name string) error {
	return db.update(ctx, relaxed, "register a consumer", func(t *tx) error {
		last, err := t.lastEvent()
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO consumers (name, cursor, seen_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at`,
			name, last, t.now)
		return err
	})
}

// consumerRow is a consumer, locked.
type consumerRow struct {
	cursor, retry int64
	tries         int
	holder        string
	lease         int64
}

func (t *tx) lockConsumer(name string) (c consumerRow, err error) {
	found, err := t.one(`SELECT cursor, tries, retry_at, holder, lease_until FROM consumers WHERE name = ? FOR UPDATE`,
		[]any{name}, &c.cursor, &c.tries, &c.retry, &c.holder, &c.lease)
	if err == nil && !found {
		err = broken("the consumer "+name+" is not registered", nil)
	}
	return c, err
}

// ahead is how long it is until the time, 0 where it has come or was written by
// a clock that was wrong.
func ahead(at, now int64) time.Duration {
	d := time.Duration(at-now) * time.Millisecond
	if d < 0 || d > MaxEventPause {
		return 0
	}
	return d
}

// TakeEvents gives up to limit events that the consumer has not handled, to the
// holder alone for as long as the lease: to SettleEvents or RetryEvents. A
// holder may take again what it took. A power cut may undo it.
func (db *DB) TakeEvents(ctx context.Context, name, holder string, lease time.Duration, limit int) (b Batch, err error) {
	err = db.update(ctx, relaxed, "take events", func(t *tx) error {
		b = Batch{}
		c, err := t.lockConsumer(name)
		if err != nil {
			return err
		}
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		n := limit
		if c.tries > 0 {
			n = 1
		}
		events, err := t.events(c.cursor, n)
		if err != nil || len(events) == 0 {
			return err
		}
		if b.Wait = ahead(c.retry, now); c.holder != holder {
			b.Wait = max(b.Wait, ahead(c.lease, now))
		}
		if b.Wait > 0 {
			return nil
		}
		if b.Lost, err = t.lostBefore(events[0], c.cursor); err != nil {
			return err
		}
		b.Events, b.Tries = events, c.tries
		_, err = t.exec(`UPDATE consumers SET cursor = ?, tries = tries + 1, retry_at = 0, holder = ?, lease_until = ? WHERE name = ?`,
			events[0].Number-1, holder, now+lease.Milliseconds(), name)
		return err
	})
	return b, err
}

// SettleEvents notes that the consumer has handled the events up to the number,
// and gives the rest back. It is KindConflict where the holder's lease ended and
// somebody else came. A power cut may undo it: they are handled again.
func (db *DB) SettleEvents(ctx context.Context, name, holder string, to int64) error {
	return db.settle(ctx, relaxed, name, holder, func(t *tx, c consumerRow) error { return t.advance(name, to) })
}

// RetryEvents is SettleEvents where the event after the number failed: it comes
// again after the pause, counted as taken once where others before it were
// handled.
func (db *DB) RetryEvents(ctx context.Context, name, holder string, to int64, pause time.Duration) error {
	return db.settle(ctx, relaxed, name, holder, func(t *tx, c consumerRow) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		if to > c.cursor {
			c.tries = 1
		}
		_, err = t.exec(`UPDATE consumers SET cursor = ?, tries = ?, retry_at = ?, lease_until = 0 WHERE name = ?`,
			to, c.tries, now+min(pause, MaxEventPause).Milliseconds(), name)
		return err
	})
}

func (t *tx) advance(name string, to int64) error {
	_, err := t.exec(`UPDATE consumers SET cursor = ?, tries = 0, retry_at = 0, lease_until = 0 WHERE name = ?`, to, name)
	return err
}

func (db *DB) settle(ctx context.Context, d durability, name, holder string, fn func(*tx, consumerRow) error) error {
	return db.update(ctx, d, "settle events", func(t *tx) error {
		c, err := t.lockConsumer(name)
		if err != nil {
			return err
		}
		if c.holder != holder {
			return protocol.Errorf(protocol.KindConflict, "another process handles these events meanwhile, they are done again")
		}
		return fn(t, c)
	})
}
