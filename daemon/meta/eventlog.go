package meta

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

const eventRows = `SELECT number, kind, owner, uid, name, media_type, size, digest, detail, created_at FROM events `

func scanEvent(scan scanFunc) (e Event, err error) {
	var uid *protocol.UID
	var digest []byte
	var detail *string
	var created int64
	err = scan(&e.Number, &e.Kind, &e.Owner, &uid, &e.Name, &e.MediaType, &e.Size, &digest, &detail, &created)
	if err != nil {
		return e, err
	}
	if e.At = timeOf(created); uid != nil {
		e.UID = *uid
	}
	var d eventDetail
	if detail != nil {
		if err := json.Unmarshal([]byte(*detail), &d); err != nil {
			return e, broken("an event's detail cannot be read", err)
		}
	}
	e.Reason, e.Job = d.Reason, d.Job
	var derr error
	e.Digest, derr = decodeHash[protocol.Digest](digest)
	return e, errors.Join(derr)
}

func (q query) events(after int64, limit int) (list []Event, err error) {
	err = q.each(eventRows+`WHERE number > ? ORDER BY number LIMIT ?`, []any{after, limit}, func(scan scanFunc) error {
		e, err := scanEvent(scan)
		list = append(list, e)
		return err
	})
	return list, err
}

// Events gives up to limit events after the number, in order. Those that were
// pruned are not among them.
func (db *DB) Events(ctx context.Context, after int64, limit int) (list []Event, err error) {
	err = db.view(ctx, "read events", func(q query) error {
		list, err = q.events(after, limit)
		return err
	})
	return list, err
}

// EventState says whether there are events without a number, and which number
// was given last.
func (db *DB) EventState(ctx context.Context) (waiting bool, last int64, err error) {
	err = db.look(ctx, "look at the events", func(q query) error {
		_, err := q.one(`SELECT last, CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE id > ?) THEN 1 ELSE 0 END FROM event_counter WHERE id = 1`,
			[]any{0}, &last, &waiting)
		return err
	})
	return waiting, last, err
}

func (q query) lastEvent() (last int64, err error) {
	_, err = q.one(`SELECT last FROM event_counter WHERE id = 1`, nil, &last)
	return last, err
}

const (
	// consumerSeen is how long a consumer that no daemon has any more holds
	// events back.
	consumerSeen = 24 * time.Hour
	// eventsKept is how many times the retention events stay that a consumer has
	// not handled.
	eventsKept = 4
)

// PruneEvents forgets up to limit events that are older than keep, and gives
// how many. Those that a consumer has still to handle, which a daemon has had
// within a day, stay for four times as long; if it has not come to them by
// then they are lost to it, which TakeEvents tells it. Consumers that no daemon
// had for that long are forgotten.
func (db *DB) PruneEvents(ctx context.Context, now time.Time, keep time.Duration, limit int) (n int, err error) {
	err = db.update(ctx, full, "prune events", func(t *tx) error {
		old, veryOld := ms(now.Add(-keep)), ms(now.Add(-eventsKept*keep))
		var slowest *int64
		if _, err := t.one(`SELECT MIN(cursor) FROM consumers WHERE name > '' AND seen_at > ?`, []any{ms(now.Add(-consumerSeen))}, &slowest); err != nil {
			return err
		}
		handled := int64(math.MaxInt64)
		if slowest != nil {
			handled = *slowest
		}
		removed, err := t.exec(`DELETE FROM events WHERE number IN
			(SELECT number FROM events WHERE created_at <= ? AND (number <= ? OR created_at <= ?) ORDER BY created_at LIMIT ?)`, old, handled, veryOld, limit)
		if err != nil {
			return err
		}
		n = int(removed)
		_, err = t.exec(`DELETE FROM consumers WHERE name > '' AND seen_at <= ?`, veryOld)
		return err
	})
	return n, err
}
