package metatest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// jobModel is what the database should hold of jobs of one kind: each with its
// state, and every lease that was ever given, most of which are lost.
type jobModel struct {
	*env
	jobs   map[protocol.JobID]*modelJob
	leases []meta.JobLease
}

type modelJob struct {
	id            protocol.JobID
	subject       string
	priority      protocol.JobPriority
	state         protocol.JobState
	attempts, max int
	runAt         time.Time
	leaseUntil    time.Time
	fence         int64
	cancel        bool
	checkpoint    string
	every         time.Duration
}

// JobModel drives databases that open opens with random jobs: what is asked for,
// leased, kept, ended, left, cancelled and retried, by two holders and with
// leases that are long lost. After each step it compares all jobs with a map of
// them. What it finds goes to found.
func JobModel(t testing.TB, found rapid.TB, open Open) {
	rapid.Check(found, func(r *rapid.T) {
		e := &env{TB: r, ctx: t.Context(), clock: NewClock()}
		e.db = open(t, e.clock.Now)
		defer func() {
			if err := e.db.Close(); err != nil {
				r.Fatal(err)
			}
		}()
		m := &jobModel{env: e, jobs: map[protocol.JobID]*modelJob{}}
		r.Repeat(Ranked(m.check, []Step{
			{"lease", m.lease}, {"enqueue", m.enqueueStep}, {"end", m.endStep}, {"beat", m.beat}, {"time", m.passTime},
			{"cancel", m.cancelStep}, {"retry", m.retryStep}, {"left", m.takeOver}, {"write", m.write}, {"periodic", m.periodicStep}, {"abandon", m.abandonStep},
		}))
	})
}

// check compares every job, and holds that of a subject one waits and one runs.
func (m *jobModel) check(*rapid.T) {
	jobs, err := m.db.Jobs(m.ctx, meta.AnyOwner, meta.JobQuery{Limit: 1000, Kind: "k"})
	m.ok(err)
	m.same("number of jobs", len(jobs), len(m.jobs))
	seen := map[string]protocol.JobID{}
	for _, j := range jobs {
		want := m.jobs[j.ID]
		if want == nil {
			m.Fatalf("job %d should not be there: %+v", j.ID, j)
		}
		m.same(fmt.Sprintf("job %d", j.ID),
			[]any{j.Subject, j.Priority, j.State, j.Attempts, j.MaxAttempts, j.Cancelling, string(j.Checkpoint), j.Every, j.FinishedAt != nil},
			[]any{want.subject, want.priority, want.state, want.attempts, want.max, want.cancel, want.checkpoint, want.every, want.state.Ended()})
		if j.State == protocol.JobReady {
			m.same(fmt.Sprintf("job %d is due", j.ID), j.RunAt, want.runAt)
		}
		if key := string(j.State) + " " + j.Subject; j.Subject != "" && !j.State.Ended() {
			if seen[key] != 0 {
				m.Fatalf("jobs %d and %d are both %s about %s", j.ID, seen[key], j.State, j.Subject)
			}
			seen[key] = j.ID
		}
	}
}

// of gives the jobs in a state, by id.
func (m *jobModel) of(state protocol.JobState) (list []*modelJob) {
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		if m.jobs[id].state == state {
			list = append(list, m.jobs[id])
		}
	}
	return list
}

// about is the job in the state that is about the subject, nil without one.
func (m *jobModel) about(state protocol.JobState, subject string) *modelJob {
	for _, j := range m.of(state) {
		if subject != "" && j.subject == subject {
			return j
		}
	}
	return nil
}

// insert is what asking for a job comes to: a new one, or the one that waits,
// moved up.
func (m *jobModel) insert(id protocol.JobID, n meta.NewJob, every time.Duration) (made bool) {
	due := m.clock.Now().Add(n.After)
	if j := m.about(protocol.JobReady, n.Subject); j != nil {
		j.priority = max(j.priority, n.Priority)
		if j.attempts == 0 && due.Before(j.runAt) {
			j.runAt = due
		}
		j.every = cmp.Or(every, j.every)
		m.same("the job that waits", id, j.id)
		return false
	}
	m.jobs[id] = &modelJob{id: id, subject: n.Subject, priority: n.Priority, state: protocol.JobReady, max: cmp.Or(n.MaxAttempts, 10), runAt: due, every: every}
	return true
}

// finish is the end of a job, and the beginning of the next where it is one of
// those that come again.
func (m *jobModel) finish(j *modelJob, state protocol.JobState, again bool) {
	j.state, j.cancel = state, false
	if j.every == 0 || !again {
		return
	}
	if state == protocol.JobDone {
		maps.DeleteFunc(m.jobs, func(id protocol.JobID, o *modelJob) bool {
			return id != j.id && o.state == protocol.JobDone && o.every > 0 && o.subject == j.subject
		})
	}
	m.next(meta.NewJob{Subject: j.subject, Priority: j.priority, MaxAttempts: j.max, After: j.every}, j.every)
}

// next is insert of a job whose id the database alone has said so far.
func (m *jobModel) next(n meta.NewJob, every time.Duration) {
	m.insert(m.ready(n.Subject), n, every)
}

// ready is the id of the job that waits and is about the subject.
func (m *jobModel) ready(subject string) protocol.JobID {
	jobs, err := m.db.Jobs(m.ctx, meta.AnyOwner, meta.JobQuery{Limit: 1000, State: protocol.JobReady, Kind: "k"})
	m.ok(err)
	for _, j := range jobs {
		if j.Subject == subject {
			return j.ID
		}
	}
	m.Fatalf("no job waits that is about %s", subject)
	return 0
}

// again is a job that would wait once more, of which so many attempts count.
func (m *jobModel) again(j *modelJob, attempts int, after time.Duration) {
	at := m.clock.Now().Add(after)
	if o := m.about(protocol.JobReady, j.subject); o != nil {
		o.attempts = max(o.attempts, attempts)
		if o.runAt.Before(at) {
			o.runAt = at
		}
		o.checkpoint, o.every = cmp.Or(o.checkpoint, j.checkpoint), cmp.Or(o.every, j.every)
		m.finish(j, protocol.JobCancelled, false)
		return
	}
	j.state, j.runAt, j.cancel, j.attempts = protocol.JobReady, at, false, attempts
}

// leased is a lease that was given.
func (m *jobModel) leased(j *modelJob, got meta.LeasedJob) {
	j.state, j.fence = protocol.JobRunning, j.fence+1
	j.attempts++
	j.cancel, j.leaseUntil = false, m.clock.Now().Add(lease)
	m.same("lease", []any{got.Lease, got.Attempts, string(got.Checkpoint)}, []any{meta.JobLease{Job: j.id, Fence: j.fence}, j.attempts, j.checkpoint})
	m.leases = append(m.leases, got.Lease)
}

// held is the job of a lease that is a right, nil of one that is lost.
func (m *jobModel) held(l meta.JobLease) *modelJob {
	if j := m.jobs[l.Job]; j != nil && j.state == protocol.JobRunning && j.fence == l.Fence {
		return j
	}
	return nil
}

// anyLease draws one that was given, mostly one of the last.
func (m *jobModel) anyLease(r *rapid.T) meta.JobLease {
	if len(m.leases) == 0 {
		r.Skip("no lease")
	}
	return m.leases[len(m.leases)-1-min(len(m.leases)-1, rapid.IntRange(0, 5).Draw(r, "lease"))]
}

func anySubject(r *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", ""}).Draw(r, "subject")
}

func anyPause(r *rapid.T) time.Duration {
	return time.Duration(rapid.IntRange(0, 3).Draw(r, "pause")) * time.Second
}

func anyCheckpoint(r *rapid.T) json.RawMessage {
	if n := rapid.IntRange(-3, 3).Draw(r, "checkpoint"); n > 0 {
		return json.RawMessage(fmt.Sprint(n))
	}
	return nil
}
