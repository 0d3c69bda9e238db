package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// jobPause is how long a failed job waits for its next attempt.
const jobPause = time.Minute

// scrubArgs say what a scrub is of.
type scrubArgs struct {
	Content ContentID `json:"content"`
}

// Content is what a scrub is about.
func (j Job) Content() (ContentID, error) {
	var a scrubArgs
	if err := json.Unmarshal(j.Args, &a); err != nil || a.Content <= 0 {
		return 0, broken(fmt.Sprintf("job %d is about %.40q, not a content", j.ID, j.Args), err)
	}
	return a.Content, nil
}

// EnqueueScrub asks for a scrub of the content, once while one is due.
func (db *DB) EnqueueScrub(ctx context.Context, content ContentID) error {
	args, err := json.Marshal(scrubArgs{content})
	if err != nil {
		return err
	}
	_, _, err = db.Enqueue(ctx, NewJob{Kind: protocol.JobScrub, Args: args, Subject: "content/" + strconv.FormatInt(int64(content), 10)})
	return err
}

// DueJobs lists up to limit jobs of the kind that are due, oldest first. A job
// stays due until FinishJob: only one caller may run jobs of a kind.
func (db *DB) DueJobs(ctx context.Context, kind protocol.JobKind, limit int) (list []Job, err error) {
	err = db.view(ctx, "list due jobs", func(q query) error {
		list = nil
		return q.each(`SELECT `+jobColumns+` FROM jobs WHERE state = 'ready' AND kind = ? AND priority = 0 AND node = '' AND run_at <= ?
			ORDER BY run_at, id LIMIT ?`, []any{string(kind), q.now, limit}, func(scan scanFunc) error {
			j, err := scanJob(scan)
			list = append(list, j)
			return err
		})
	})
	return list, err
}

// FinishJob ends a due job. With an error it is due again a minute later, and
// dead after the last. A job that is not due is KindNotFound.
func (db *DB) FinishJob(ctx context.Context, id protocol.JobID, failure string) error {
	return db.update(ctx, full, "finish a job", func(t *tx) error {
		r, err := t.lockJob(id)
		if err != nil {
			return err
		}
		if r.state != protocol.JobReady {
			return protocol.Errorf(protocol.KindNotFound, "job %d is not due", id)
		}
		r.attempts++
		o := JobOutcome{Error: failure, After: jobPause}
		if failure != "" {
			o.Result = ResultFailed
		}
		if o.Result == ResultDone || r.attempts >= r.maxAttempts {
			return t.endAttempt(r, o)
		}
		_, err = t.exec(`UPDATE jobs SET run_at = ?, attempts = ?, error = ? WHERE id = ?`, t.now+jobPause.Milliseconds(), r.attempts, failure, int64(id))
		return err
	})
}
