package meta

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// RequestJob is Enqueue of a job that a caller asked for, and of those beside it,
// with the answer that idem makes of it. Its errors are also those of BeginUpload about keys. The
// caller who asks under a key is the owner.
func (db *DB) RequestJob(ctx context.Context, owner protocol.Owner, n NewJob, idem func(j Job, made bool) (*Idempotency, error)) (err error) {
	return db.update(ctx, full, "ask for a job", func(t *tx) error {
		id, made, err := t.enqueue(n)
		if err != nil {
			return err
		}
		for _, b := range n.Beside {
			if _, _, err := t.enqueue(b); err != nil {
				return err
			}
		}
		j, err := t.job(AnyOwner, id)
		if err != nil {
			return err
		}
		i, err := idem(j, made)
		if err != nil {
			return err
		}
		return t.saveAnswer(owner, i)
	})
}

// JobQuery selects a page of jobs, newest first.
type JobQuery struct {
	// Limit is 1 to 1,000.
	Limit int
	// Before is the id of the last job of the page before, 0 for the first.
	Before protocol.JobID
	// State and Kind are any where "".
	State protocol.JobState
	Kind  protocol.JobKind
}

// Jobs lists jobs of the owner.
func (db *DB) Jobs(ctx context.Context, owner protocol.Owner, jq JobQuery) (list []Job, err error) {
	before := int64(jq.Before)
	if before == 0 {
		before = math.MaxInt64
	}
	where, args := []string{`id < ?`}, []any{before}
	for _, c := range [...]struct{ column, value string }{
		{"owner", strings.TrimSuffix(string(owner), string(AnyOwner))}, {"state", string(jq.State)}, {"kind", string(jq.Kind)},
	} {
		if c.value != "" {
			where, args = append(where, c.column+` = ?`), append(args, c.value)
		}
	}
	text := `SELECT ` + jobColumns + ` FROM jobs WHERE ` + strings.Join(where, ` AND `) + ` ORDER BY id DESC LIMIT ?`
	err = db.view(ctx, "list jobs", func(q query) error {
		list = nil
		return q.each(text, append(args, jq.Limit), func(scan scanFunc) error {
			j, err := scanJob(scan)
			list = append(list, j)
			return err
		})
	})
	return list, err
}

// Job gives a job of the owner, or KindNotFound.
func (db *DB) Job(ctx context.Context, owner protocol.Owner, id protocol.JobID) (j Job, err error) {
	err = db.view(ctx, "find a job", func(q query) error {
		j, err = q.job(owner, id)
		return err
	})
	return j, err
}

func (q query) job(owner protocol.Owner, id protocol.JobID) (j Job, err error) {
	err = q.each(`SELECT `+jobColumns+` FROM jobs WHERE id = ?`, []any{int64(id)}, func(scan scanFunc) error {
		j, err = scanJob(scan)
		return err
	})
	if err == nil && (j.ID == 0 || owner != AnyOwner && j.Owner != owner) {
		return Job{}, noJob(id)
	}
	return j, err
}

func noJob(id protocol.JobID) error {
	return &protocol.Error{Kind: protocol.KindNotFound, Message: fmt.Sprintf("there is no job %d", id),
		Hint: "Jobs that ended are forgotten after a day."}
}

// CancelJob ends a job that waits, and has the handler of one that runs end:
// such a job is Cancelling until it did, or until its lease is over: then nobody
// may live who would end it. One that ended stays as it is.
func (db *DB) CancelJob(ctx context.Context, owner protocol.Owner, id protocol.JobID) (j Job, err error) {
	err = db.update(ctx, full, "cancel a job", func(t *tx) error {
		r, err := t.lockJobOf(owner, id)
		if err != nil {
			return err
		}
		if err := t.cancel(r); err != nil {
			return err
		}
		j, err = t.job(owner, id)
		return err
	})
	return j, err
}

func (t *tx) cancel(r jobRow) error {
	now, err := t.databaseNow()
	switch {
	case err != nil:
		return err
	case r.state == protocol.JobReady, r.state == protocol.JobRunning && r.leaseUntil <= now:
		return t.endJob(r, protocol.JobCancelled, r.failure)
	case r.state == protocol.JobRunning:
		t.jobsDue()
		_, err = t.exec(`UPDATE jobs SET cancel = 1 WHERE id = ?`, int64(r.id))
	}
	return err
}

// RetryJob has a job that is dead or was cancelled tried again, now and as
// often as at first; it goes on where its handler left a checkpoint, and its
// fence is two above the one before, by which a handler sees that it was asked
// for. One that
// waits for its next attempt does so now. A periodic job takes the place of the
// next one, which waits for its time. A job that runs, is done, or of which
// another waits, is KindConflict, and so is a migration beside another that is
// about one of its stores.
func (db *DB) RetryJob(ctx context.Context, owner protocol.Owner, id protocol.JobID) (j Job, err error) {
	// A migration that goes on is one beside which nothing is joined, as one that
	// begins: who saw it cancelled ends first.
	err = db.unnamed(ctx, "retry a job", func(t *tx) error {
		r, err := t.lockJobOf(owner, id)
		if err != nil {
			return err
		}
		if err := t.retry(r); err != nil {
			return err
		}
		j, err = t.job(owner, id)
		return err
	})
	return j, err
}

func (t *tx) retry(r jobRow) error {
	switch r.state {
	case protocol.JobRunning, protocol.JobDone:
		return protocol.Errorf(protocol.KindConflict, "job %d is %s, nothing was changed", r.id, r.state)
	case protocol.JobReady:
	default:
		if r.n.Kind == protocol.JobMigrate {
			if err := t.refuseBeside(r); err != nil {
				return err
			}
		}
		var other protocol.JobID
		var attempts int
		var every *int64
		found, err := t.one(`SELECT id, attempts, every FROM jobs WHERE kind = ? AND subject = ? AND subject <> '' AND state = 'ready' FOR UPDATE`,
			[]any{string(r.n.Kind), r.n.Subject}, &other, &attempts, &every)
		if err != nil {
			return err
		}
		if found && every != nil && attempts == 0 {
			if err := t.takePlace(r.id, other, *every); err != nil {
				return err
			}
			found = false
		}
		if found {
			return &protocol.Error{Kind: protocol.KindConflict, Message: fmt.Sprintf("job %d, which is about the same as job %d, waits already; nothing was changed", other, r.id),
				Hint: fmt.Sprintf("See `osp admin jobs show %d`.", other)}
		}
	}
	now, err := t.databaseNow()
	if err != nil {
		return err
	}
	t.jobsDue()
	_, err = t.exec(`UPDATE jobs SET state = 'ready', run_at = ?, queued_at = ?, attempts = 0, fence = fence + 1, finished_at = NULL WHERE id = ?`, now, now, int64(r.id))
	return err
}

// takePlace makes an ended job the periodic one in place of the one that waits
// and was not begun.
func (t *tx) takePlace(id, other protocol.JobID, every int64) error {
	if _, err := t.exec(`DELETE FROM jobs WHERE id = ?`, int64(other)); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE jobs SET every = ? WHERE id = ?`, every, int64(id))
	return err
}

func (t *tx) lockJobOf(owner protocol.Owner, id protocol.JobID) (jobRow, error) {
	r, err := t.lockJob(id)
	if err == nil && (r.state == "" || owner != AnyOwner && r.n.Owner != owner) {
		err = noJob(id)
	}
	return r, err
}
