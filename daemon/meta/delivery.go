package meta

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// FanOutConsumer is the name of the consumer that FanOut is.
const FanOutConsumer = "webhooks"

const (
	// fanOutEvents and fanOutRows bound what one transaction hands out.
	fanOutEvents = 100
	fanOutRows   = 1000
)

// wants reports whether the webhook gets the event.
func (w Webhook) wants(e Event) bool {
	return e.Number > w.Since && (w.Everything || e.Owner == w.Owner) && slices.Contains(w.Kinds, e.Kind)
}

// FanOut makes a delivery of each of the next events for each webhook that wants
// it, has them sent, and moves its cursor past them, all in one transaction. more
// is whether there may be more, lost how many events were pruned before their
// turn came.
func (db *DB) FanOut(ctx context.Context) (more bool, lost int64, err error) {
	hooks, err := db.hooked(ctx)
	if err != nil {
		return false, 0, err
	}
	// What is sent must not be undone, nor the numbers of it: a power cut would
	// give them to others. Where there is nothing to send there is nothing to sync.
	d := relaxed
	if hooks {
		d = full
	}
	err = db.update(ctx, d, "hand events to webhooks", func(t *tx) error {
		more, lost = false, 0
		c, err := t.lockConsumer(FanOutConsumer)
		if err != nil {
			return err
		}
		list, err := t.webhooks(`id > ? ORDER BY id FOR UPDATE`, 0)
		if err != nil {
			return err
		}
		if len(list) > 0 && !hooks {
			more = true // the first has just been made
			return nil
		}
		n := fanOutEvents
		if len(list) > 0 {
			n = max(1, min(n, fanOutRows/len(list)))
		}
		events, err := t.events(c.cursor, n)
		if err != nil || len(events) == 0 {
			return err
		}
		more = len(events) == n
		if lost, err = t.lostBefore(events[0], c.cursor); err != nil {
			return err
		}
		for _, w := range list {
			if err := t.deliver(w, events); err != nil {
				return err
			}
		}
		return t.advance(FanOutConsumer, events[len(events)-1].Number)
	})
	return more, lost, err
}

func (db *DB) hooked(ctx context.Context) (hooked bool, err error) {
	err = db.look(ctx, "look for webhooks", func(q query) error {
		hooked, err = q.one(`SELECT 1 FROM webhooks WHERE state = 'active' AND id > ? LIMIT 1`, []any{0}, new(int))
		return err
	})
	return hooked, err
}

// deliver makes deliveries of those of the events that the webhook wants.
func (t *tx) deliver(w Webhook, events []Event) error {
	made := false
	for _, e := range events {
		if !w.wants(e) {
			continue
		}
		made = true
		if _, err := t.exec(`INSERT INTO deliveries (webhook_id, number, uid, kind, body, state, due_at, created_at) VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)`,
			int64(w.ID), e.Number, int64(e.UID), string(e.Kind), string(e.Message().Encode()), t.now, t.now); err != nil {
			return err
		}
	}
	if !made {
		return nil
	}
	return t.notify(w.Owner, w.ID, 0)
}

// Delivery is an event on its way to a webhook.
type Delivery struct {
	Webhook protocol.WebhookID
	Number  int64
	UID     protocol.UID
	Kind    protocol.EventKind
	Body    []byte
	// Attempts is how often it was sent in vain, Since when it waits.
	Attempts int
	Since    time.Time
}

// firstOfUID is the condition that no other of the uid comes before it: one that
// is later is not sent before it arrived, or was given up.
const firstOfUID = ` AND NOT EXISTS (SELECT 1 FROM deliveries before WHERE before.webhook_id = d.webhook_id AND before.uid = d.uid
	AND before.number < d.number AND before.state = 'pending') `

// DueDeliveries gives up to limit deliveries of a webhook that are to be sent
// now, in any order and side by side, those that are due longest first: none is
// of the uid of another. A webhook that was removed, and one that waits since too
// much failed, has none.
func (db *DB) DueDeliveries(ctx context.Context, id protocol.WebhookID, limit int) (w Webhook, list []Delivery, err error) {
	err = db.view(ctx, "look for deliveries", func(q query) error {
		list = nil
		now, err := q.databaseNow()
		if err != nil {
			return err
		}
		hooks, err := q.webhooks(`id = ?`, int64(id))
		if err != nil || len(hooks) == 0 || hooks[0].RetryAt != nil {
			return err
		}
		w = hooks[0]
		return q.each(`SELECT d.number, d.uid, d.kind, d.body, d.attempts, d.created_at FROM deliveries d WHERE d.webhook_id = ? AND d.state = 'pending' AND d.due_at <= ?`+
			firstOfUID+`ORDER BY d.due_at, d.number LIMIT ?`, []any{int64(id), now, limit}, func(scan scanFunc) error {
			x := Delivery{Webhook: id}
			var since int64
			err := scan(&x.Number, &x.UID, &x.Kind, &x.Body, &x.Attempts, &since)
			x.Since = timeOf(since)
			list = append(list, x)
			return err
		})
	})
	return w, list, err
}

// Delivered notes that a delivery has arrived. A power cut may undo it: then it
// is sent again, under the same id.
func (db *DB) Delivered(ctx context.Context, d Delivery) error {
	return db.update(ctx, relaxed, "note a delivery", func(t *tx) error {
		if _, err := t.exec(`UPDATE webhooks SET delivered = delivered + 1, delivered_at = ?, failures = 0, retry_at = 0 WHERE id = ?`,
			t.now, int64(d.Webhook)); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM deliveries WHERE webhook_id = ? AND number = ?`, int64(d.Webhook), d.Number)
		return err
	})
}

// DeliveryFailure is why a delivery did not arrive, and what follows from it.
type DeliveryFailure struct {
	Error string
	// Dead gives it up; else it is sent again After.
	Dead  bool
	After time.Duration
	// Rest is how long nothing is sent to the webhook, by how many deliveries
	// have failed since one arrived.
	Rest func(failures int) time.Duration
}

// DeliveryFailed notes that a delivery did not arrive, and reports whether
// nothing more is sent to the webhook for now. A power cut may undo it.
func (db *DB) DeliveryFailed(ctx context.Context, d Delivery, f DeliveryFailure) (rests bool, err error) {
	err = db.update(ctx, relaxed, "note a failed delivery", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		var failures int
		if _, err := t.one(`UPDATE webhooks SET failures = failures + 1, failed_at = ?, error = ? WHERE id = ? RETURNING failures`,
			[]any{now, f.Error, int64(d.Webhook)}, &failures); err != nil {
			return err
		}
		rest := f.Rest(failures)
		if rests = rest > 0; rests {
			if _, err := t.exec(`UPDATE webhooks SET retry_at = ? WHERE id = ?`, now+min(rest, MaxEventPause).Milliseconds(), int64(d.Webhook)); err != nil {
				return err
			}
		}
		if f.Dead {
			_, err = t.exec(`UPDATE deliveries SET state = 'dead', dead_at = ?, attempts = attempts + 1, error = ? WHERE webhook_id = ? AND number = ? AND state = 'pending'`,
				now, f.Error, int64(d.Webhook), d.Number)
			return err
		}
		_, err = t.exec(`UPDATE deliveries SET due_at = ?, attempts = attempts + 1, error = ? WHERE webhook_id = ? AND number = ? AND state = 'pending'`,
			now+min(f.After, MaxEventPause).Milliseconds(), f.Error, int64(d.Webhook), d.Number)
		return err
	})
	return rests, err
}

// NotifyLater has what still waits for a webhook sent when the first of it is
// due.
func (db *DB) NotifyLater(ctx context.Context, id protocol.WebhookID) error {
	return db.update(ctx, relaxed, "have a webhook notified later", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		hooks, err := t.webhooks(`id = ?`, int64(id))
		if err != nil || len(hooks) == 0 {
			return err
		}
		var due int64
		found, err := t.one(`SELECT d.due_at FROM deliveries d WHERE d.webhook_id = ? AND d.state = 'pending' AND d.due_at > ?`+
			firstOfUID+`ORDER BY d.due_at LIMIT 1`, []any{int64(id), int64(math.MinInt64)}, &due)
		if err != nil || !found {
			return err
		}
		if due > now+MaxEventPause.Milliseconds() {
			// It was written by a clock that was ahead.
			if _, err := t.exec(`UPDATE deliveries SET due_at = ? WHERE webhook_id = ? AND state = 'pending' AND due_at > ?`,
				now, int64(id), now+MaxEventPause.Milliseconds()); err != nil {
				return err
			}
			due = now
		}
		if at := hooks[0].RetryAt; at != nil {
			due = max(due, ms(*at))
		}
		return t.notify(hooks[0].Owner, id, max(0, time.Duration(due-now)*time.Millisecond))
	})
}

// NotifyWaiting is NotifyLater for every webhook for which something waits: a
// job of somebody's that was cancelled leaves it behind.
func (db *DB) NotifyWaiting(ctx context.Context) error {
	var waiting []protocol.WebhookID
	err := db.view(ctx, "look for webhooks that wait", func(q query) (err error) {
		waiting, err = ids[protocol.WebhookID](q, `SELECT id FROM webhooks WHERE state = 'active' AND id > ?
			AND EXISTS (SELECT 1 FROM deliveries WHERE webhook_id = webhooks.id AND state = 'pending') ORDER BY id`, 0)
		return err
	})
	for i := 0; err == nil && i < len(waiting); i++ {
		err = db.NotifyLater(ctx, waiting[i])
	}
	return err
}

// ReplayDeliveries has up to limit of a webhook's dead deliveries sent again, as
// if they had not been tried, and gives how many.
func (db *DB) ReplayDeliveries(ctx context.Context, owner protocol.Owner, id protocol.WebhookID, limit int) (n int64, err error) {
	err = db.update(ctx, full, "replay deliveries", func(t *tx) error {
		n = 0
		if err := t.lockWebhook(owner, id); err != nil {
			return err
		}
		n, err = t.exec(`UPDATE deliveries SET state = 'pending', dead_at = NULL, attempts = 0, due_at = ?, created_at = ? WHERE (webhook_id, number) IN
			(SELECT webhook_id, number FROM deliveries WHERE webhook_id = ? AND state = 'dead' AND dead_at <= ? ORDER BY dead_at LIMIT ?)`,
			t.now, t.now, int64(id), int64(math.MaxInt64), limit)
		if err != nil || n == 0 {
			return err
		}
		var whose protocol.Owner
		if _, err := t.one(`UPDATE webhooks SET failures = 0, retry_at = 0 WHERE id = ? RETURNING owner`, []any{int64(id)}, &whose); err != nil {
			return err
		}
		return t.notify(whose, id, 0)
	})
	return n, err
}
