package meta

import (
	"context"
	"math"

	"github.com/osproxy/osproxy/protocol"
)

// numberBatch bounds the events that one transaction numbers.
const numberBatch int64 = 500

// NumberEvents gives up to numberBatch of the events that have none their
// numbers. n is how many, more whether there may be more of them. A power cut may
// undo it, together with all that was written later.
//
// A transaction holds the counter's row from its first statement on, so that
// numbers become visible in their order; and an event is numbered only once the
// transaction that made it has committed, however long that took. So whoever
// has read up to a number misses none below it.
func (db *DB) NumberEvents(ctx context.Context) (n int64, more bool, err error) {
	err = db.update(ctx, kept, "number events", func(t *tx) error {
		n, more = 0, false
		var last int64
		if _, err := t.one(`SELECT last FROM event_counter WHERE id = 1 FOR UPDATE`, nil, &last); err != nil {
			return err
		}
		if n, err = t.number(last); err != nil {
			return err
		}
		// What stands for many is numbered alone; what comes after it waits.
		rest, found, err := t.firstRest()
		if err == nil && found && n == 0 {
			n, err = t.numberRest(last, rest)
		}
		if err != nil || n == 0 && !found {
			return err
		}
		more = found || n == numberBatch
		_, err = t.exec(`UPDATE event_counter SET last = ? WHERE id = 1`, last+n)
		return err
	})
	return n, more, err
}

// number gives numbers to what lies in the outbox before the first that stands
// for many, and takes exactly that from it: others may have committed theirs
// meanwhile.
func (t *tx) number(last int64) (n int64, err error) {
	n, err = t.exec(`INSERT INTO events (number, outbox_id, kind, owner, uid, name, media_type, size, digest, detail, created_at)
		SELECT ? + ROW_NUMBER() OVER (ORDER BY o.id), o.id, o.kind, o.owner, o.uid, o.name, o.media_type, o.size, o.digest, o.detail, o.created_at
		FROM (SELECT * FROM outbox WHERE id < COALESCE((SELECT MIN(id) FROM outbox WHERE content_id > 0), ?)
			ORDER BY id LIMIT ?) o`, last, int64(math.MaxInt64), numberBatch)
	if err != nil || n == 0 {
		return n, err
	}
	_, err = t.exec(`DELETE FROM outbox WHERE id IN (SELECT outbox_id FROM events WHERE number > ?)`, last)
	return n, err
}

// restOfContent stands for the events of the files of a content that come
// after one of them.
type restOfContent struct {
	id      int64
	kind    string
	content ContentID
	owner   string
	uid     protocol.UID
	// newcomer gets none.
	newcomer protocol.UID
	at       int64
}

func (t *tx) firstRest() (r restOfContent, found bool, err error) {
	found, err = t.one(`SELECT id, kind, content_id, after_owner, after_uid, uid, created_at FROM outbox
		WHERE content_id > 0 ORDER BY id LIMIT 1`,
		nil, &r.id, &r.kind, &r.content, &r.owner, &r.uid, &r.newcomer, &r.at)
	return r, found, err
}

// numberRest numbers a batch of r's events, and keeps what is left of it.
func (t *tx) numberRest(last int64, r restOfContent) (n int64, err error) {
	n, err = t.exec(`INSERT INTO events (number, outbox_id, kind, owner, uid, name, media_type, size, digest, created_at)
		SELECT ? + ROW_NUMBER() OVER (ORDER BY f.owner, f.uid), ?, ?, f.owner, f.uid, f.name, f.media_type, f.size, f.digest, ?
		FROM (SELECT `+eventFiles+eventSource+`AND (f.owner, f.uid) > (?, ?) AND f.committed_at <= ? AND f.uid <> ?`+fileOrder+`) f`,
		last, r.id, r.kind, r.at, r.content, r.owner, int64(r.uid), r.at, int64(r.newcomer), numberBatch)
	if err != nil {
		return 0, err
	}
	if n < numberBatch {
		_, err = t.exec(`DELETE FROM outbox WHERE id = ?`, r.id)
		return n, err
	}
	_, err = t.exec(`UPDATE outbox SET (after_owner, after_uid) = (SELECT owner, uid FROM events WHERE number = ?) WHERE id = ?`, last+n, r.id)
	return n, err
}
