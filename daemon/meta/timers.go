package meta

import (
	"context"
	"time"
)

// timerAhead is how far in the future a time may lie at which something has
// begun, as it seems: clocks are slewed, and nodes do not agree to the second.
const timerAhead = time.Hour

// timers are the times from which something is waited for; jobs have such too,
// and deliveries and answers, which have no id.
var timers = [...]struct{ find, restart string }{
	{`SELECT id FROM blobs WHERE state = 'doomed' AND doomed_at > ? ORDER BY doomed_at LIMIT ?`, `UPDATE blobs SET doomed_at = ? WHERE id = ? AND state = 'doomed'`},
	{`SELECT id FROM blobs WHERE state = 'gone' AND gone_at > ? ORDER BY gone_at LIMIT ?`, `UPDATE blobs SET gone_at = ? WHERE id = ? AND state = 'gone'`},
	{`SELECT uid FROM uploads WHERE open = 1 AND touched_at > ? ORDER BY touched_at LIMIT ?`, `UPDATE uploads SET touched_at = ? WHERE uid = ? AND open = 1`},
	{`SELECT uid FROM files WHERE deleted_at > ? ORDER BY deleted_at LIMIT ?`, `UPDATE files SET deleted_at = ? WHERE uid = ? AND deleted_at IS NOT NULL`},
	{`SELECT uid FROM files WHERE aborted_at > ? ORDER BY aborted_at LIMIT ?`, `UPDATE files SET aborted_at = ? WHERE uid = ? AND aborted_at IS NOT NULL`},
	{`SELECT id FROM contents WHERE doomed_at > ? ORDER BY doomed_at LIMIT ?`, `UPDATE contents SET doomed_at = ? WHERE id = ? AND doomed_at IS NOT NULL`},
	{`SELECT number FROM events WHERE created_at > ? ORDER BY created_at LIMIT ?`, `UPDATE events SET created_at = ? WHERE number = ?`},
	{`SELECT uid FROM files WHERE state = 'committed' AND digest_due > ? AND digest_due < 9223372036854775807 ORDER BY digest_due LIMIT ?`,
		`UPDATE files SET digest_due = ? WHERE uid = ? AND digest_due IS NOT NULL`},
}

// RestartTimers has up to limit times of waiting begin now that seem to have
// begun more than an hour in the future: the clock was set back since, and what
// was deleted under the wrong one, and the idempotency keys that were used,
// would stay for as long as it was wrong. n is how many.
func (db *DB) RestartTimers(ctx context.Context, limit int) (n int, err error) {
	err = db.update(ctx, full, "start timers anew", func(t *tx) error {
		n = 0
		for _, timer := range timers {
			rows, err := ids[int64](t.query, timer.find, t.now+timerAhead.Milliseconds(), limit-n)
			if err != nil {
				return err
			}
			for _, id := range rows {
				if _, err := t.exec(timer.restart, t.now, id); err != nil {
					return err
				}
			}
			n += len(rows)
		}
		jobs, err := t.restartJobs(limit - n)
		if err != nil {
			return err
		}
		n += jobs
		waiting, err := t.exec(`UPDATE deliveries SET created_at = ? WHERE (webhook_id, number) IN
			(SELECT webhook_id, number FROM deliveries WHERE state = 'pending' AND created_at > ? LIMIT ?)`, t.now, t.now+timerAhead.Milliseconds(), limit-n)
		if err != nil {
			return err
		}
		n += int(waiting)
		answers, err := t.exec(`UPDATE idempotency SET created_at = ? WHERE (owner, key) IN
			(SELECT owner, key FROM idempotency WHERE created_at > ? ORDER BY created_at LIMIT ?)`, t.now, t.now+timerAhead.Milliseconds(), limit-n)
		n += int(answers)
		return err
	})
	return n, err
}
