package meta

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/osproxy/osproxy/protocol"
)

// ParkedEvent are the args of a protocol.JobEvent.
type ParkedEvent struct {
	Consumer string         `json:"consumer"`
	Event    protocol.Event `json:"event"`
}

// EventOf is the event of a message; see Event.Message.
func EventOf(m protocol.Event) Event {
	e := Event{Number: m.Number, Kind: m.Type, At: m.Timestamp.Time, Name: m.Data.Name, MediaType: m.Data.MediaType,
		Size: m.Data.Size, Digest: m.Data.Digest, Reason: m.Data.Reason, Job: m.Data.Job}
	if m.Data.Owner != nil {
		e.Owner = *m.Data.Owner
	}
	if m.Data.UID != nil {
		e.UID = *m.Data.UID
	}
	return e
}

// ParkEvent is SettleEvents up to an event that the consumer failed at, which
// becomes a job in the same transaction: it is tried again and again without
// holding up what comes after it, and ends where dead jobs do. Order is given
// up for this one event.
func (db *DB) ParkEvent(ctx context.Context, name, holder string, e Event, failure string) error {
	args, err := json.Marshal(ParkedEvent{Consumer: name, Event: e.Message()})
	if err != nil {
		return err
	}
	return db.settle(ctx, full, name, holder, func(t *tx, _ consumerRow) error {
		if err := t.advance(name, e.Number); err != nil {
			return err
		}
		id, made, err := t.enqueue(NewJob{Kind: protocol.JobEvent, Args: args, Subject: name + "/" + strconv.FormatInt(e.Number, 10)})
		if err != nil || !made {
			return err
		}
		_, err = t.exec(`UPDATE jobs SET error = ? WHERE id = ?`, failure, int64(id))
		return err
	})
}

// emitDead makes the event of a job that is dead. What tells of events tells
// nobody when it fails, or one failure would make more of itself for ever.
func (t *tx) emitDead(r jobRow, failure string) error {
	var parked ParkedEvent
	switch r.n.Kind {
	case protocol.JobNotify:
		return nil
	case protocol.JobEvent:
		if err := json.Unmarshal(r.n.Args, &parked); err != nil || parked.Event.Type == protocol.EventJobDead {
			return nil
		}
	}
	detail, err := eventDetail{Job: &protocol.EventJob{ID: r.id, Kind: r.n.Kind, Attempts: r.attempts, Error: failure}}.encode()
	if err != nil {
		return err
	}
	t.emitted = true
	_, err = t.exec(`INSERT INTO outbox (kind, owner, detail, created_at) VALUES (?, ?, ?, ?)`,
		string(protocol.EventJobDead), string(r.n.Owner), detail, t.now)
	return err
}
