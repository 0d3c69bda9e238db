package meta

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// JobID is the row of a job.
type JobID int64

// JobScrub reads a content and compares it with its record.
const JobScrub = "scrub"

const (
	jobAttempts = 5
	// jobPause is how long a failed job waits for its next attempt.
	jobPause = time.Minute
)

// Job is work that is due.
type Job struct {
	ID   JobID
	Kind string
	// Subject names what the job is about; for a scrub see Content.
	Subject string
	// Attempts is how often it was tried and failed.
	Attempts int
}

// Content is what a scrub is about.
func (j Job) Content() (ContentID, error) {
	id, err := strconv.ParseInt(j.Subject, 10, 64)
	if err != nil {
		return 0, broken(fmt.Sprintf("job %d is about %.40q, not a content", j.ID, j.Subject), err)
	}
	return ContentID(id), nil
}

// EnqueueScrub asks for a scrub of the content, once while one is due.
func (db *DB) EnqueueScrub(ctx context.Context, content ContentID) error {
	return db.update(ctx, full, "enqueue a scrub", func(t *tx) error {
		_, err := t.exec(`INSERT INTO jobs (kind, owner, subject, state, run_at, max_attempts, created_at) VALUES (?, '', ?, 'ready', ?, ?, ?)
			ON CONFLICT DO NOTHING`, JobScrub, strconv.FormatInt(int64(content), 10), t.now, jobAttempts, t.now)
		return err
	})
}

// DueJobs lists up to limit jobs of the kind that are due, oldest first. A job
// stays due until FinishJob: only one caller may run jobs of a kind.
func (db *DB) DueJobs(ctx context.Context, kind string, limit int) (list []Job, err error) {
	err = db.view(ctx, "list due jobs", func(q query) error {
		list = nil
		return q.each(`SELECT id, kind, subject, attempts FROM jobs WHERE state = 'ready' AND node = '' AND run_at <= ? AND kind = ?
			ORDER BY run_at LIMIT ?`, []any{q.now, kind, limit}, func(scan scanFunc) error {
			var j Job
			err := scan(&j.ID, &j.Kind, &j.Subject, &j.Attempts)
			list = append(list, j)
			return err
		})
	})
	return list, err
}

// FinishJob ends a due job. With an error it is due again a minute later, and
// dead after the fifth. A job that is not due is KindNotFound.
func (db *DB) FinishJob(ctx context.Context, id JobID, failure string) error {
	return db.update(ctx, full, "finish a job", func(t *tx) error {
		var n int64
		var err error
		if failure == "" {
			n, err = t.exec(`UPDATE jobs SET state = 'done', error = NULL, finished_at = ? WHERE id = ? AND state = 'ready'`, t.now, id)
		} else {
			n, err = t.exec(`UPDATE jobs SET attempts = attempts + 1, error = ?, run_at = ?,
				state = CASE WHEN attempts + 1 < max_attempts THEN 'ready' ELSE 'dead' END,
				finished_at = CASE WHEN attempts + 1 < max_attempts THEN NULL ELSE ? END
				WHERE id = ? AND state = 'ready'`, failure, t.now+jobPause.Milliseconds(), t.now, id)
		}
		if err == nil && n == 0 {
			err = protocol.Errorf(protocol.KindNotFound, "job %d is not due", id)
		}
		return err
	})
}
