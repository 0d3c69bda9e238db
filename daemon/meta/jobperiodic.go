package meta

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// SetPeriodic has a job of the kind run each time that long after the last one
// ended, and once now where none did yet. An interval of 0 has none run any
// more. It is called with what the configuration says, by every node.
func (db *DB) SetPeriodic(ctx context.Context, n NewJob, every time.Duration) error {
	if err := n.check(); err != nil {
		return err
	}
	return db.update(ctx, full, "set a periodic job", func(t *tx) error {
		waits, err := t.periodic(n, every)
		if err != nil || waits || every <= 0 {
			return err
		}
		_, _, err = t.insertJob(n, every)
		return err
	})
}

// periodic puts the jobs right that wait or run, and reports whether one does.
func (t *tx) periodic(n NewJob, every time.Duration) (waits bool, err error) {
	rows, err := ids[protocol.JobID](t.query, `SELECT id FROM jobs WHERE kind = ? AND subject = ? AND subject <> '' AND state = 'running'
		UNION ALL SELECT id FROM jobs WHERE kind = ? AND subject = ? AND subject <> '' AND state = 'ready'`, string(n.Kind), n.Subject, string(n.Kind), n.Subject)
	if err != nil {
		return false, err
	}
	now, err := t.databaseNow()
	if err != nil {
		return false, err
	}
	for _, id := range rows {
		r, err := t.lockJob(id)
		if err != nil {
			return false, err
		}
		switch {
		case r.state == protocol.JobReady && every <= 0 && r.every > 0:
			r.every = 0
			err = t.endJob(r, protocol.JobCancelled, "it is not a periodic job any more")
		case r.state == protocol.JobReady || r.state == protocol.JobRunning:
			waits = true
			due := now + every.Milliseconds()
			_, err = t.exec(`UPDATE jobs SET every = ?, run_at = CASE WHEN run_at > ? THEN ? ELSE run_at END WHERE id = ?`, everyOf(every), due, due, int64(id))
		}
		if err != nil {
			return false, err
		}
	}
	return waits, nil
}
