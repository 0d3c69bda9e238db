package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// JobResult is how an attempt ended.
type JobResult int

// The results there are.
const (
	// ResultDone: the job is done.
	ResultDone JobResult = iota
	// ResultFailed: it is tried again, or dead after its last attempt.
	ResultFailed
	// ResultHopeless: no attempt would do; it is dead.
	ResultHopeless
	// ResultSnoozed: it goes on later. That is no failure, nor an attempt.
	ResultSnoozed
	// ResultCancelled: it ended because somebody cancelled it.
	ResultCancelled
)

// String is a word for it.
func (r JobResult) String() string {
	return [...]string{"done", "failed", "hopeless", "snoozed", "cancelled"}[r]
}

// JobOutcome is what a holder says at the end of an attempt.
type JobOutcome struct {
	Result JobResult
	// Error says why it failed.
	Error string
	// After is how long the next attempt waits, where there is one.
	After time.Duration
	// Progress and Checkpoint are recorded where they are not nil.
	Progress   *protocol.JobProgress
	Checkpoint json.RawMessage
}

// EndJob ends an attempt. A job that was cancelled meanwhile is cancelled,
// unless it is done. Where another job about the subject waits already, one
// that would wait again ends in it. Of a lease that is lost nothing counts:
// ErrLeaseLost.
func (db *DB) EndJob(ctx context.Context, l JobLease, o JobOutcome) error {
	said, err := encodeProgress(o.Progress)
	if err != nil {
		return err
	}
	// What a power cut takes back is done again.
	return db.update(ctx, relaxed, "end a job", func(t *tx) error {
		r, err := t.lockJob(l.Job)
		if err != nil {
			return err
		}
		if r.state != protocol.JobRunning || r.fence != l.Fence {
			return ErrLeaseLost
		}
		if said != nil || o.Checkpoint != nil {
			if _, err := t.exec(`UPDATE jobs SET progress = COALESCE(?, progress), checkpoint = COALESCE(?, checkpoint) WHERE id = ?`,
				said, textOrNil(o.Checkpoint), int64(l.Job)); err != nil {
				return err
			}
		}
		return t.endAttempt(r, o)
	})
}

func (t *tx) endAttempt(r jobRow, o JobOutcome) error {
	switch {
	case o.Result == ResultDone:
		return t.endJob(r, protocol.JobDone, "")
	case r.cancel || o.Result == ResultCancelled:
		return t.endJob(r, protocol.JobCancelled, o.Error)
	case o.Result == ResultSnoozed:
		r.attempts--
		return t.again(r, o.After, r.failure)
	case o.Result == ResultHopeless || r.attempts >= r.maxAttempts:
		return t.endJob(r, protocol.JobDead, o.Error)
	}
	return t.again(r, o.After, o.Error)
}

// jobRow is what verbs decide by, of a job whose row is locked.
type jobRow struct {
	id                    protocol.JobID
	n                     NewJob
	state                 protocol.JobState
	attempts, maxAttempts int
	fence                 int64
	leaseUntil            int64 // of one that runs
	cancel                bool
	failure               string
	every                 time.Duration
}

// lockJob locks a job's row; its state is "" where there is none.
func (t *tx) lockJob(id protocol.JobID) (r jobRow, err error) {
	var args string
	var cancel int
	var every *int64
	_, err = t.one(`SELECT id, kind, owner, subject, args, priority, node, state, attempts, max_attempts, fence, COALESCE(lease_until, 0), cancel, COALESCE(error, ''), every
		FROM jobs WHERE id = ? FOR UPDATE`, []any{int64(id)},
		&r.id, &r.n.Kind, &r.n.Owner, &r.n.Subject, &args, &r.n.Priority, &r.n.Node, &r.state, &r.attempts, &r.maxAttempts, &r.fence, &r.leaseUntil, &cancel, &r.failure, &every)
	r.n.Args, r.n.MaxAttempts, r.cancel = json.RawMessage(args), r.maxAttempts, cancel != 0
	if every != nil {
		r.every = time.Duration(*every) * time.Millisecond
	}
	return r, err
}

// endJob ends a locked job for good. Of a periodic one the next is made, and of
// those that were done only the last is kept.
func (t *tx) endJob(r jobRow, state protocol.JobState, failure string) error {
	now, err := t.databaseNow()
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE jobs SET state = ?, finished_at = ?, lease_until = NULL, cancel = 0, error = ? WHERE id = ?`,
		string(state), now, nilIfEmpty(failure), int64(r.id)); err != nil {
		return err
	}
	t.jobsDue() // what waits for the subject may begin
	if state == protocol.JobDead {
		if err := t.emitDead(r, failure); err != nil {
			return err
		}
	}
	if r.every == 0 {
		return nil
	}
	if state == protocol.JobDone {
		if _, err := t.exec(`DELETE FROM jobs WHERE kind = ? AND subject = ? AND state = 'done' AND every IS NOT NULL AND id <> ?`,
			string(r.n.Kind), r.n.Subject, int64(r.id)); err != nil {
			return err
		}
	}
	r.n.After = r.every
	_, _, err = t.insertJob(r.n, r.every)
	return err
}

// again lets a locked job wait for another attempt. Where one about the subject
// waits already that is the attempt, as late as this one and as often tried.
func (t *tx) again(r jobRow, after time.Duration, failure string) error {
	now, err := t.databaseNow()
	if err != nil {
		return err
	}
	at := now + after.Milliseconds()
	if r.n.Subject != "" {
		var other protocol.JobID
		found, err := t.one(`UPDATE jobs SET attempts = CASE WHEN attempts < ? THEN ? ELSE attempts END,
			run_at = CASE WHEN run_at < ? THEN ? ELSE run_at END, queued_at = ?,
			checkpoint = COALESCE(checkpoint, (SELECT was.checkpoint FROM jobs was WHERE was.id = ?)),
			every = COALESCE(every, ?)
			WHERE kind = ? AND subject = ? AND subject <> '' AND state = 'ready' RETURNING id`,
			[]any{r.attempts, r.attempts, at, at, now, int64(r.id), everyOf(r.every), string(r.n.Kind), r.n.Subject}, &other)
		if err != nil {
			return err
		}
		if found {
			r.every = 0
			return t.endJob(r, protocol.JobCancelled, joined(failure, fmt.Sprintf("job %d, which is about the same, goes on", other)))
		}
	}
	t.jobsDue()
	_, err = t.exec(`UPDATE jobs SET state = 'ready', lease_until = NULL, cancel = 0, run_at = ?, queued_at = ?, attempts = ?, finished_at = NULL, error = ?
		WHERE id = ?`, at, now, r.attempts, nilIfEmpty(failure), int64(r.id))
	return err
}

// poisoned says why a job is dead whose holders all left it.
func poisoned(r jobRow) string {
	return joined(r.failure, fmt.Sprintf("the process that ran it ended, or was stopped, in each of %d attempts", r.attempts))
}

func joined(failure, more string) string {
	if failure == "" {
		return more
	}
	return failure + "; " + more
}

func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func textOrNil(b json.RawMessage) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func encodeProgress(p *protocol.JobProgress) (*string, error) {
	if p == nil {
		return nil, nil
	}
	b, err := json.Marshal(p)
	return textOrNil(b), err
}

func digits(n int) string { return strconv.Itoa(n) }
