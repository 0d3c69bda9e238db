package meta

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Webhook is a webhook as recorded.
type Webhook struct {
	ID protocol.WebhookID
	// Owner is whose it is, and whose events it gets unless Everything.
	Owner      protocol.Owner
	Everything bool
	URL        string
	Secret     []byte
	Kinds      []protocol.EventKind
	Note       string
	// Since is the number of the last event before it.
	Since     int64
	CreatedAt time.Time

	Pending, Dead, Delivered int64
	DeliveredAt, FailedAt    *time.Time
	Error                    string
	// RetryAt is until when nothing is sent.
	RetryAt *time.Time
}

func noWebhook(id protocol.WebhookID) error {
	return protocol.Errorf(protocol.KindNotFound, "there is no webhook %s", id)
}

// CreateWebhook records a webhook, which gets what happens from now on. More
// than protocol.MaxWebhooks of one owner are KindQuotaExceeded.
func (db *DB) CreateWebhook(ctx context.Context, w Webhook) (made Webhook, err error) {
	err = db.update(ctx, full, "create a webhook", func(t *tx) error {
		var count int
		if _, err := t.one(`SELECT COUNT(*) FROM webhooks WHERE owner = ? AND state = 'active'`, []any{string(w.Owner)}, &count); err != nil {
			return err
		}
		if count >= protocol.MaxWebhooks {
			return &protocol.Error{Kind: protocol.KindQuotaExceeded, Message: "this owner has as many webhooks as there may be; nothing was changed",
				Hint: "Remove one first."}
		}
		// FanOut holds this row while it looks who wants what: either it sees the
		// webhook, or what it hands out is from before.
		if _, err := t.one(`SELECT cursor FROM consumers WHERE name = ? FOR UPDATE`, []any{FanOutConsumer}, new(int64)); err != nil {
			return err
		}
		since, err := t.lastEvent()
		if err != nil {
			return err
		}
		made = w
		made.Since, made.CreatedAt = since, timeOf(t.now)
		_, err = t.one(`INSERT INTO webhooks (owner, everything, url, secret, kinds, note, state, since, created_at)
			VALUES (?, ?, ?, ?, ?, ?, 'active', ?, ?) RETURNING id`,
			[]any{string(w.Owner), flag(w.Everything), w.URL, w.Secret, joinKinds(w.Kinds), w.Note, since, t.now}, &made.ID)
		return err
	})
	return made, err
}

func joinKinds(kinds []protocol.EventKind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, " ")
}

func splitKinds(text string) (kinds []protocol.EventKind) {
	for word := range strings.FieldsSeq(text) {
		kinds = append(kinds, protocol.EventKind(word))
	}
	return kinds
}

// webhooks reads active ones, without what is counted.
func (q query) webhooks(where string, args ...any) (list []Webhook, err error) {
	err = q.each(`SELECT id, owner, everything, url, secret, kinds, note, since, delivered, retry_at, created_at, delivered_at, failed_at, COALESCE(error, '')
		FROM webhooks WHERE state = 'active' AND `+where, args, func(scan scanFunc) error {
		var w Webhook
		var everything int
		var kinds string
		var retry, created int64
		var delivered, failed *int64
		err := scan(&w.ID, &w.Owner, &everything, &w.URL, &w.Secret, &kinds, &w.Note, &w.Since, &w.Delivered, &retry, &created, &delivered, &failed, &w.Error)
		w.Everything, w.Kinds, w.CreatedAt = everything != 0, splitKinds(kinds), timeOf(created)
		w.DeliveredAt, w.FailedAt = timePtr(delivered), timePtr(failed)
		if ahead(retry, q.now) > 0 {
			w.RetryAt = timePtr(&retry)
		}
		list = append(list, w)
		return err
	})
	return list, err
}

// counted fills in how many deliveries a webhook has.
func (q query) counted(w *Webhook) error {
	for _, c := range [...]struct {
		text string
		into *int64
	}{
		{`SELECT COUNT(*) FROM deliveries WHERE webhook_id = ? AND state = 'pending'`, &w.Pending},
		{`SELECT COUNT(*) FROM deliveries WHERE webhook_id = ? AND state = 'dead'`, &w.Dead},
	} {
		if _, err := q.one(c.text, []any{int64(w.ID)}, c.into); err != nil {
			return err
		}
	}
	return nil
}

// Webhooks lists the owner's webhooks by id, AnyOwner all there are.
func (db *DB) Webhooks(ctx context.Context, owner protocol.Owner) (list []Webhook, err error) {
	err = db.view(ctx, "list webhooks", func(q query) error {
		if owner == AnyOwner {
			list, err = q.webhooks(`id > ? ORDER BY id`, 0)
		} else {
			list, err = q.webhooks(`owner = ? ORDER BY id`, string(owner))
		}
		for i := 0; err == nil && i < len(list); i++ {
			err = q.counted(&list[i])
		}
		return err
	})
	return list, err
}

// Webhook gives one of the owner's webhooks; another's, and one that was
// removed, is KindNotFound.
func (db *DB) Webhook(ctx context.Context, owner protocol.Owner, id protocol.WebhookID) (w Webhook, err error) {
	err = db.view(ctx, "read a webhook", func(q query) error {
		list, err := q.webhooks(`id = ?`, int64(id))
		if err != nil {
			return err
		}
		if len(list) == 0 || owner != AnyOwner && list[0].Owner != owner {
			return noWebhook(id)
		}
		w = list[0]
		return q.counted(&w)
	})
	return w, err
}

// lockWebhook locks an active webhook's row; else KindNotFound.
func (t *tx) lockWebhook(owner protocol.Owner, id protocol.WebhookID) error {
	var whose protocol.Owner
	found, err := t.one(`SELECT owner FROM webhooks WHERE id = ? AND state = 'active' FOR UPDATE`, []any{int64(id)}, &whose)
	if err == nil && (!found || owner != AnyOwner && owner != whose) {
		err = noWebhook(id)
	}
	return err
}

// RemoveWebhook ends a webhook: nothing is sent to it any more. What is left of
// it PruneWebhooks forgets.
func (db *DB) RemoveWebhook(ctx context.Context, owner protocol.Owner, id protocol.WebhookID) error {
	return db.update(ctx, full, "remove a webhook", func(t *tx) error {
		if err := t.lockWebhook(owner, id); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE webhooks SET state = 'removed' WHERE id = ?`, int64(id))
		return err
	})
}

// PruneWebhooks gives up deliveries that wait since the time waiting or longer,
// and forgets those that are dead since the time dead or longer, and those of
// webhooks that were removed, which go with the last: up to limit rows in all,
// of which n is how many.
func (db *DB) PruneWebhooks(ctx context.Context, waiting, dead time.Time, limit int) (n int, err error) {
	err = db.update(ctx, full, "prune webhooks", func(t *tx) error {
		late, err := t.exec(`UPDATE deliveries SET state = 'dead', dead_at = ?, error = COALESCE(error, 'it could not be sent in time') WHERE (webhook_id, number) IN
			(SELECT webhook_id, number FROM deliveries WHERE state = 'pending' AND created_at <= ? ORDER BY created_at LIMIT ?)`, t.now, ms(waiting), limit)
		if err != nil {
			return err
		}
		old, err := t.exec(`DELETE FROM deliveries WHERE (webhook_id, number) IN
			(SELECT webhook_id, number FROM deliveries WHERE state = 'dead' AND dead_at <= ? ORDER BY dead_at LIMIT ?)`, ms(dead), limit-int(late))
		if err != nil {
			return err
		}
		n = int(late + old)
		removed, err := ids[protocol.WebhookID](t.query, `SELECT id FROM webhooks WHERE state = 'removed' AND id > ? ORDER BY id FOR UPDATE`, 0)
		for i := 0; err == nil && i < len(removed) && n < limit; i++ {
			err = t.forgetWebhook(removed[i], limit, &n)
		}
		return err
	})
	return n, err
}

// forgetWebhook forgets a removed webhook, whose row is locked, until n is
// limit.
func (t *tx) forgetWebhook(id protocol.WebhookID, limit int, n *int) error {
	rows, err := t.exec(`DELETE FROM deliveries WHERE (webhook_id, number) IN (SELECT webhook_id, number FROM deliveries WHERE webhook_id = ? LIMIT ?)`,
		int64(id), limit-*n)
	if err != nil {
		return err
	}
	if *n += int(rows); *n >= limit {
		return nil
	}
	*n++
	_, err = t.exec(`DELETE FROM webhooks WHERE id = ?`, int64(id))
	return err
}

// NotifyArgs are the args of a protocol.JobNotify.
type NotifyArgs struct {
	Webhook protocol.WebhookID `json:"webhook"`
}

// notify has what waits for a webhook sent. The job does not end in failure:
// what a delivery comes to is written in its row.
func (t *tx) notify(owner protocol.Owner, id protocol.WebhookID, after time.Duration) error {
	args, err := json.Marshal(NotifyArgs{id})
	if err != nil {
		return err
	}
	_, _, err = t.enqueue(NewJob{Kind: protocol.JobNotify, Owner: owner, Args: args, Subject: "webhook/" + id.String(),
		After: after, MaxAttempts: math.MaxInt32})
	return err
}
