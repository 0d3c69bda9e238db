package meta

import (
	"context"
	"time"
)

// leaseMax is longer than any lease.
const leaseMax = time.Hour

// RestartJobs has up to limit jobs wait anew that seem to have begun that more
// than an hour in the future, as RestartTimers does with all that waits, and
// gives how many. The queues call it when they meet such a job: the one that
// restarts timers may be among them.
func (db *DB) RestartJobs(ctx context.Context, limit int) (n int, err error) {
	err = db.update(ctx, full, "start jobs' timers anew", func(t *tx) error {
		n, err = t.restartJobs(limit)
		return err
	})
	return n, err
}

// jobTimers are the times of jobs that lie ahead where a clock was.
var jobTimers = [...]struct {
	ahead         time.Duration
	find, restart string
	nows          int
}{
	{timerAhead, `SELECT id FROM jobs WHERE state = 'ready' AND queued_at > ? LIMIT ?`,
		`UPDATE jobs SET run_at = run_at - queued_at + ?, queued_at = ? WHERE id = ? AND state = 'ready'`, 2},
	{timerAhead + leaseMax, `SELECT id FROM jobs WHERE state = 'running' AND lease_until > ? LIMIT ?`,
		`UPDATE jobs SET lease_until = ? WHERE id = ? AND state = 'running'`, 1},
	{timerAhead, `SELECT id FROM jobs WHERE finished_at > ? ORDER BY finished_at LIMIT ?`,
		`UPDATE jobs SET finished_at = ? WHERE id = ? AND finished_at IS NOT NULL`, 1},
}

func (t *tx) restartJobs(limit int) (n int, err error) {
	now, err := t.databaseNow()
	if err != nil {
		return 0, err
	}
	for _, timer := range jobTimers {
		rows, err := ids[int64](t.query, timer.find, now+timer.ahead.Milliseconds(), limit-n)
		if err != nil {
			return n, err
		}
		for _, id := range rows {
			args := []any{now, now, id}
			if _, err := t.exec(timer.restart, args[2-timer.nows:]...); err != nil {
				return n, err
			}
		}
		n += len(rows)
	}
	if n > 0 {
		t.jobsDue()
	}
	return n, nil
}
