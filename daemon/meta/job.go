package meta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// ErrLeaseLost: the job is another holder's by now, or nobody's. What was to be
// written in its name was not.
var ErrLeaseLost = errors.New("the job's lease is lost, nothing was changed")

// jobAttempts is how often a job is tried where nobody says otherwise.
const jobAttempts = 10

// insertTries is how often a job is tried to be made that others are in the way
// of.
const insertTries = 3

// NewJob is work to be done.
type NewJob struct {
	Kind protocol.JobKind
	// Owner is whose it is; the daemon's own has none.
	Owner protocol.Owner
	// Args is a JSON object, nil for an empty one. Its form is the kind's.
	Args json.RawMessage
	// Subject names what the job is about. Where it is not "", of a kind and a
	// subject one job at most waits, and one at most runs. It must tell apart
	// all that Args does.
	Subject  string
	Priority protocol.JobPriority
	// After is how long it is not to begin yet.
	After time.Duration
	// MaxAttempts is 10 where 0.
	MaxAttempts int
	// Node is the one that has to run it, "" for any.
	Node string
	// Beside are asked for along with it (RequestJob), and nobody is told of them.
	Beside []NewJob
}

// Job is a job as recorded.
type Job struct {
	ID protocol.JobID
	NewJob
	State    protocol.JobState
	Attempts int
	// Holder had the last lease.
	Holder     string
	Cancelling bool
	Progress   *protocol.JobProgress
	// Checkpoint is what the handler wrote for the attempt after it.
	Checkpoint json.RawMessage
	Error      string
	// Every is how long after its end the next one is due, 0 for none.
	Every      time.Duration
	CreatedAt  time.Time
	RunAt      time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
}

// Enqueue has a job done. One that waits already and is of the kind and about
// the subject is given instead, moved up to the earlier time and the higher
// priority of both; made says that it is not one of those. A verb that makes
// work due calls tx.enqueue in its own transaction.
func (db *DB) Enqueue(ctx context.Context, n NewJob) (id protocol.JobID, made bool, err error) {
	err = db.update(ctx, full, "enqueue a job", func(t *tx) error {
		id, made, err = t.enqueue(n)
		return err
	})
	return id, made, err
}

// enqueue is Enqueue in the caller's transaction. It locks rows of jobs, which
// come last in the order of locks. The queues of this process are told once the
// transaction is committed.
func (t *tx) enqueue(n NewJob) (id protocol.JobID, made bool, err error) {
	if err := n.check(); err != nil {
		return 0, false, err
	}
	return t.insertJob(n, 0)
}

func (n *NewJob) check() error {
	if len(n.Args) == 0 {
		n.Args = json.RawMessage("{}")
	}
	if n.MaxAttempts == 0 {
		n.MaxAttempts = jobAttempts
	}
	if n.Kind == "" || !json.Valid(n.Args) || n.MaxAttempts < 1 || n.Priority < protocol.PriorityIdle || n.Priority > protocol.PriorityHigh {
		return broken(fmt.Sprintf("a job of kind %q with %d attempts, priority %d and the args %.80q cannot be", n.Kind, n.MaxAttempts, n.Priority, n.Args), nil)
	}
	return nil
}

// insertJob makes a job that waits, the next of a periodic one where every is
// not 0. One that runs and is about the same subject is locked first: its end
// and this may both want to be the one that waits.
func (t *tx) insertJob(n NewJob, every time.Duration) (id protocol.JobID, made bool, err error) {
	now, err := t.databaseNow()
	if err != nil {
		return 0, false, err
	}
	if n.Subject != "" {
		if _, err := t.one(`SELECT id FROM jobs WHERE kind = ? AND subject = ? AND subject <> '' AND state = 'running' FOR UPDATE`,
			[]any{string(n.Kind), n.Subject}, &id); err != nil {
			return 0, false, err
		}
	}
	t.jobsDue()
	due := now + n.After.Milliseconds()
	for range insertTries {
		made, err = t.one(`INSERT INTO jobs (kind, owner, subject, args, node, state, priority, run_at, queued_at, max_attempts, every, created_at)
			VALUES (?, ?, ?, ?, ?, 'ready', ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
			[]any{string(n.Kind), string(n.Owner), n.Subject, string(n.Args), n.Node, int(n.Priority), due, now, n.MaxAttempts, everyOf(every), now}, &id)
		if err != nil || made {
			return id, made, err
		}
		// One is in the way, unless it was leased since.
		found, err := t.one(`UPDATE jobs SET priority = CASE WHEN priority < ? THEN ? ELSE priority END,
			run_at = CASE WHEN run_at > ? AND attempts = 0 THEN ? ELSE run_at END, every = COALESCE(?, every)
			WHERE kind = ? AND subject = ? AND subject <> '' AND state = 'ready' RETURNING id`,
			[]any{int(n.Priority), int(n.Priority), due, due, everyOf(every), string(n.Kind), n.Subject}, &id)
		if err != nil || found {
			return id, false, err
		}
	}
	return 0, false, protocol.Errorf(protocol.KindUnavailable, "jobs of kind %s about %s come and go too fast, nothing was changed", n.Kind, n.Subject)
}

// everyOf stores the time between runs of a periodic job.
func everyOf(d time.Duration) *int64 {
	if d <= 0 {
		return nil
	}
	v := max(1, d.Milliseconds())
	return &v
}

const jobColumns = `id, kind, owner, subject, args, node, state, priority, run_at, attempts, max_attempts, COALESCE(leased_by, ''),
	cancel, progress, checkpoint, COALESCE(error, ''), every, created_at, started_at, finished_at`

func scanJob(scan scanFunc) (j Job, err error) {
	var args string
	var cancel int
	var progress, checkpoint *string
	var runAt, created int64
	var every, started, finished *int64
	if err := scan(&j.ID, &j.Kind, &j.Owner, &j.Subject, &args, &j.Node, &j.State, &j.Priority, &runAt, &j.Attempts, &j.MaxAttempts, &j.Holder,
		&cancel, &progress, &checkpoint, &j.Error, &every, &created, &started, &finished); err != nil {
		return j, err
	}
	j.Args, j.Cancelling = json.RawMessage(args), cancel != 0
	j.RunAt, j.CreatedAt, j.StartedAt, j.FinishedAt = timeOf(runAt), timeOf(created), timePtr(started), timePtr(finished)
	if checkpoint != nil {
		j.Checkpoint = json.RawMessage(*checkpoint)
	}
	if every != nil {
		j.Every = time.Duration(*every) * time.Millisecond
	}
	if progress == nil {
		return j, nil
	}
	if err := json.Unmarshal([]byte(*progress), &j.Progress); err != nil {
		return j, broken(fmt.Sprintf("the progress of job %d cannot be read", j.ID), err)
	}
	return j, nil
}
