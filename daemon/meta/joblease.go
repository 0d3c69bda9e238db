package meta

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// JobHolder is who leases jobs: one process.
type JobHolder struct {
	// Name is no other holder's, not even an earlier process's of the node.
	Name string
	// Node is the one it runs on. Jobs that are bound to another are not its.
	Node string
	// Bound says that it takes those alone that are bound to its node.
	Bound bool
}

// other is the node beside its own of whose jobs it takes: "", of those that are
// bound to none.
func (h JobHolder) other() string {
	if h.Bound {
		return h.Node
	}
	return ""
}

// JobLease is the right to do a job, and to write in its name. The fence is
// raised by each lease of the job, so that an old one is no right any more.
type JobLease struct {
	Job   protocol.JobID
	Fence int64
}

// LeasedJob is a job with its lease.
type LeasedJob struct {
	Job
	Lease JobLease
}

// JobLine is the jobs of a kind that wait in one order, or those whose holder
// has let the lease run out.
type JobLine struct {
	// Kind is "" in a line that says only that a job waits since a time to come:
	// RestartJobs is due.
	Kind protocol.JobKind
	// Expired are those left by their holders, of every priority and both nodes, and
	// those of any other that are not to go on.
	Expired  bool
	Priority protocol.JobPriority
	Node     string
	// DueIn is how long until the first of them is due, 0 or less when it is.
	DueIn time.Duration
}

// JobLines gives the lines of the kinds in which jobs wait, the most urgent of
// each kind first. A job in one need not be free to begin: another about its
// subject may be running.
func (db *DB) JobLines(ctx context.Context, holder JobHolder, kinds []protocol.JobKind) (lines []JobLine, err error) {
	if len(kinds) == 0 {
		return nil, nil
	}
	all, text, args := linesOf(holder, kinds)
	err = db.look(ctx, "look for jobs", func(q query) error {
		now, firsts := q.now, make([]*int64, len(all))
		whole := text
		if q.leaseTime != "" {
			whole += ` UNION ALL ` + strings.Replace(q.leaseTime, `SELECT `, `SELECT -1, `, 1)
		}
		if err := q.each(whole, args, func(scan scanFunc) error {
			var i int
			var at *int64
			err := scan(&i, &at)
			if i < 0 && at != nil {
				now = *at
			} else if err == nil {
				firsts[i] = at
			}
			return err
		}); err != nil {
			return err
		}
		lines = waitingLines(all, firsts, now)
		return nil
	})
	return lines, err
}

// waitingLines are those in which a job waits, by the first times in them.
func waitingLines(all []JobLine, firsts []*int64, now int64) (lines []JobLine) {
	for i, at := range firsts {
		if at == nil {
			continue
		}
		line := all[i]
		line.DueIn = time.Duration(*at-now) * time.Millisecond
		if line.Kind == "" && line.DueIn <= timerAhead {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// linesOf are all lines there can be, and the statement that reads the first
// time in each: one text for one set of kinds, and one step down an index for
// one line. An idle daemon asks it alone, with the time where that is the
// server's.
func linesOf(holder JobHolder, kinds []protocol.JobKind) (lines []JobLine, text string, args []any) {
	nodes := []string{holder.other()}
	if holder.Node != holder.other() {
		nodes = append(nodes, holder.Node)
	}
	var parts []string
	add := func(l JobLine, part string, more ...any) {
		parts = append(parts, `SELECT `+digits(len(lines))+part)
		lines, args = append(lines, l), append(args, more...)
	}
	add(JobLine{}, `, MAX(queued_at) FROM jobs WHERE state = 'ready'`)
	for _, kind := range kinds {
		add(JobLine{Kind: kind, Expired: true}, `, MIN(lease_until) FROM jobs WHERE state = 'running' AND kind = ? AND `+takeable, string(kind), holder.other(), holder.Node)
		for p := protocol.PriorityHigh; p >= protocol.PriorityIdle; p-- {
			for _, node := range nodes {
				add(JobLine{Kind: kind, Priority: p, Node: node},
					`, MIN(run_at) FROM jobs WHERE state = 'ready' AND kind = ? AND priority = `+digits(int(p))+` AND node = ?`, string(kind), node)
			}
		}
	}
	return lines, strings.Join(parts, " UNION ALL "), args
}

// LeaseJobs leases up to limit jobs of a line, those that are due longest
// first, and gives them with their leases. A job whose holders left it each of
// its attempts is dead then, and no lease is given.
func (db *DB) LeaseJobs(ctx context.Context, holder JobHolder, line JobLine, lease time.Duration, limit int) (jobs []LeasedJob, err error) {
	// A lease that a power cut takes back would be given again, with its fence.
	err = db.update(ctx, full, "lease jobs", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		take := t.takeReady
		if line.Expired {
			take = t.takeLeft
		}
		jobs, err = take(holder, line, now, now+lease.Milliseconds(), limit)
		return err
	})
	return jobs, err
}

const leasing = `UPDATE jobs SET state = 'running', leased_by = ?, lease_until = ?, fence = fence + 1, attempts = attempts + 1, started_at = ?, cancel = 0 `

// takeReady leases jobs that wait and that nobody else has locked.
func (t *tx) takeReady(holder JobHolder, line JobLine, now, until int64, limit int) ([]LeasedJob, error) {
	jobs, err := t.leased(`WITH due AS (SELECT id FROM jobs WHERE state = 'ready' AND kind = ? AND priority = ? AND node = ? AND run_at <= ?
		AND (subject = '' OR NOT EXISTS (SELECT 1 FROM jobs other
			WHERE other.state = 'running' AND other.kind = jobs.kind AND other.subject = jobs.subject AND other.subject <> ''))
		ORDER BY run_at, id LIMIT ? FOR UPDATE SKIP LOCKED) `+leasing+`WHERE id IN (SELECT id FROM due)`,
		string(line.Kind), int(line.Priority), line.Node, now, limit, holder.Name, until, now)
	slices.SortFunc(jobs, func(a, b LeasedJob) int { return cmp.Or(a.RunAt.Compare(b.RunAt), cmp.Compare(a.ID, b.ID)) })
	return jobs, err
}

// takeable is what a node may take of what holders left: what it may do, and what
// only has to be ended, since the node that it is bound to may never come back.
const takeable = `(node IN (?, ?) OR cancel = 1 OR attempts >= max_attempts)`

// takeLeft leases jobs whose holders left them, but ends those for which
// another attempt is not what is due.
func (t *tx) takeLeft(holder JobHolder, line JobLine, now, until int64, limit int) (jobs []LeasedJob, err error) {
	left, err := ids[protocol.JobID](t.query, `SELECT id FROM jobs WHERE state = 'running' AND kind = ? AND lease_until <= ? AND `+takeable+`
		ORDER BY lease_until LIMIT ? FOR UPDATE SKIP LOCKED`, string(line.Kind), now, holder.other(), holder.Node, limit)
	if err != nil {
		return nil, err
	}
	for _, id := range left {
		r, err := t.lockJob(id)
		if err != nil {
			return nil, err
		}
		var job []LeasedJob
		switch {
		case r.cancel:
			err = t.endJob(r, protocol.JobCancelled, r.failure)
		case r.attempts >= r.maxAttempts:
			err = t.endJob(r, protocol.JobDead, poisoned(r))
		default:
			job, err = t.leased(leasing+`WHERE id = ?`, holder.Name, until, now, int64(id))
		}
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job...)
	}
	return jobs, nil
}

// leased runs a statement that leases, and gives the jobs as they are then.
func (t *tx) leased(text string, args ...any) (jobs []LeasedJob, err error) {
	err = t.each(text+` RETURNING fence, `+jobColumns, args, func(scan scanFunc) (err error) {
		var job LeasedJob
		job.Job, err = scanJob(func(dest ...any) error { return scan(append([]any{&job.Lease.Fence}, dest...)...) })
		job.Lease.Job = job.ID
		jobs = append(jobs, job)
		return err
	})
	return jobs, err
}

// BeatJob makes the lease last from now on, and records what is not nil. It
// says whether somebody cancelled the job. A lease that ran out and was given
// to nobody goes on; one that was is ErrLeaseLost.
func (db *DB) BeatJob(ctx context.Context, l JobLease, lease time.Duration, progress *protocol.JobProgress, checkpoint json.RawMessage) (cancelled bool, err error) {
	said, err := encodeProgress(progress)
	if err != nil {
		return false, err
	}
	// What a power cut takes back is given again by the next beat.
	err = db.update(ctx, relaxed, "beat for a job", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		var cancel int
		found, err := t.one(`UPDATE jobs SET lease_until = ?, progress = COALESCE(?, progress), checkpoint = COALESCE(?, checkpoint)
			WHERE id = ? AND fence = ? AND state = 'running' RETURNING cancel`,
			[]any{now + lease.Milliseconds(), said, textOrNil(checkpoint), int64(l.Job), l.Fence}, &cancel)
		if err == nil && !found {
			err = ErrLeaseLost
		}
		cancelled = cancel != 0
		return err
	})
	return cancelled, err
}

// CancelledJobs lists the holder's jobs that somebody cancelled.
func (db *DB) CancelledJobs(ctx context.Context, holder string) (list []protocol.JobID, err error) {
	err = db.look(ctx, "look for cancelled jobs", func(q query) error {
		list, err = ids[protocol.JobID](q, `SELECT id FROM jobs WHERE state = 'running' AND leased_by = ? AND cancel = 1`, holder)
		return err
	})
	return list, err
}

// HolderOn is a process of a node.
func HolderOn(node NodeID, process string) JobHolder {
	return JobHolder{Name: string(node) + "/" + process, Node: string(node)}
}

// AbandonLeases has the leases of a node's processes run out now, since the
// caller knows that none of them lives (HolderOn); with "" those of all that
// there are. n is how many there were.
func (db *DB) AbandonLeases(ctx context.Context, node string) (n int, err error) {
	whose, args := ``, []any{}
	if node != "" {
		whose, args = ` AND leased_by > ? AND leased_by < ?`, []any{node + "/", node + "0"} // which follows the slash
	}
	err = db.update(ctx, relaxed, "abandon leases", func(t *tx) error {
		now, err := t.databaseNow()
		if err != nil {
			return err
		}
		changed, err := t.exec(`UPDATE jobs SET lease_until = ? WHERE state = 'running'`+whose, append([]any{now}, args...)...)
		n = int(changed)
		return err
	})
	return n, err
}
