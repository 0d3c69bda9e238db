package metatest

import (
	"cmp"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func (m *jobModel) enqueueStep(r *rapid.T) {
	n := meta.NewJob{Kind: "k", Subject: anySubject(r), After: anyPause(r), MaxAttempts: rapid.IntRange(0, 2).Draw(r, "attempts"),
		Priority: protocol.JobPriority(rapid.IntRange(-1, 1).Draw(r, "priority"))}
	id, made, err := m.db.Enqueue(m.ctx, n)
	m.ok(err)
	m.same("made", made, m.insert(id, n, 0))
}

// periodicStep sets what comes again, or that it does not any more.
func (m *jobModel) periodicStep(r *rapid.T) {
	n := meta.NewJob{Kind: "k", Subject: "a"}
	every := time.Duration(rapid.IntRange(0, 2).Draw(r, "every")) * 10 * time.Second
	m.ok(m.db.SetPeriodic(m.ctx, n, every))
	waits := false
	for _, j := range []*modelJob{m.about(protocol.JobReady, "a"), m.about(protocol.JobRunning, "a")} {
		switch {
		case j == nil:
		case j.state == protocol.JobReady && every == 0 && j.every > 0:
			m.finish(j, protocol.JobCancelled, false)
		default:
			waits, j.every = true, every
			if due := m.clock.Now().Add(every); due.Before(j.runAt) {
				j.runAt = due
			}
		}
	}
	if !waits && every > 0 {
		m.next(n, every)
	}
}

// lease leases from a line of jobs that wait, as a queue would, or from one in
// which none does.
func (m *jobModel) lease(r *rapid.T) {
	holder := rapid.SampledFrom([]meta.JobHolder{one, other}).Draw(r, "holder")
	line := meta.JobLine{Kind: "k", Priority: protocol.JobPriority(rapid.IntRange(-1, 1).Draw(r, "priority"))}
	limit := rapid.IntRange(1, 3).Draw(r, "limit")
	var due []*modelJob
	for _, j := range m.of(protocol.JobReady) {
		if j.priority == line.Priority && !j.runAt.After(m.clock.Now()) && m.about(protocol.JobRunning, j.subject) == nil {
			due = append(due, j)
		}
	}
	slices.SortStableFunc(due, func(a, b *modelJob) int { return a.runAt.Compare(b.runAt) })
	shown := slices.ContainsFunc(m.lines(holder), func(l meta.JobLine) bool { return !l.Expired && l.Priority == line.Priority })
	if len(due) > 0 && !shown {
		m.Fatalf("of jobs with the priority %s, which are due, no line tells", line.Priority)
	}
	got, err := m.db.LeaseJobs(m.ctx, holder, line, lease, limit)
	m.ok(err)
	due = due[:min(limit, len(due))]
	m.same("leased", len(got), len(due))
	for i, j := range due {
		m.leased(j, got[i])
	}
}

// takeOver leases what its holders left.
func (m *jobModel) takeOver(*rapid.T) {
	var left []*modelJob
	for _, j := range m.of(protocol.JobRunning) {
		if !j.leaseUntil.After(m.clock.Now()) {
			left = append(left, j)
		}
	}
	shown := slices.ContainsFunc(m.lines(other), func(l meta.JobLine) bool { return l.Expired })
	m.same("a line of what was left", shown, len(left) > 0)
	got, err := m.db.LeaseJobs(m.ctx, other, meta.JobLine{Kind: "k", Expired: true}, lease, 1000)
	m.ok(err)
	for _, j := range left {
		switch {
		case j.cancel:
			m.finish(j, protocol.JobCancelled, true)
		case j.attempts >= j.max:
			m.finish(j, protocol.JobDead, true)
		default:
			i := slices.IndexFunc(got, func(g meta.LeasedJob) bool { return g.ID == j.id })
			if i < 0 {
				m.Fatalf("job %d was left and not taken over", j.id)
			}
			m.leased(j, got[i])
			got = slices.Delete(got, i, i+1)
		}
	}
	m.same("taken over besides", len(got), 0)
}

func (m *jobModel) beat(r *rapid.T) {
	l, checkpoint := m.anyLease(r), anyCheckpoint(r)
	cancelled, err := m.db.BeatJob(m.ctx, l, lease, nil, checkpoint)
	j := m.held(l)
	if j == nil {
		m.lost(err)
		return
	}
	m.ok(err)
	m.same("cancelled", cancelled, j.cancel)
	j.leaseUntil, j.checkpoint = m.clock.Now().Add(lease), cmp.Or(string(checkpoint), j.checkpoint)
}

// write is an effect of a job: it happens while the lease is a right.
func (m *jobModel) write(r *rapid.T) {
	l := m.anyLease(r)
	_, _, err := m.db.Enqueue(meta.Fenced(m.ctx, l), meta.NewJob{Kind: "effect"})
	if m.held(l) == nil {
		m.lost(err)
		return
	}
	m.ok(err)
}

func (m *jobModel) endStep(r *rapid.T) {
	l, o := m.anyLease(r), meta.JobOutcome{After: anyPause(r), Checkpoint: anyCheckpoint(r)}
	o.Result = meta.JobResult(rapid.IntRange(int(meta.ResultDone), int(meta.ResultCancelled)).Draw(r, "result"))
	err := m.db.EndJob(m.ctx, l, o)
	j := m.held(l)
	if j == nil {
		m.lost(err)
		return
	}
	m.ok(err)
	j.checkpoint = cmp.Or(string(o.Checkpoint), j.checkpoint)
	switch {
	case o.Result == meta.ResultDone:
		m.finish(j, protocol.JobDone, true)
	case j.cancel || o.Result == meta.ResultCancelled:
		m.finish(j, protocol.JobCancelled, true)
	case o.Result == meta.ResultSnoozed:
		m.again(j, j.attempts-1, o.After)
	case o.Result == meta.ResultHopeless || j.attempts >= j.max:
		m.finish(j, protocol.JobDead, true)
	default:
		m.again(j, j.attempts, o.After)
	}
}

// anyJob draws one that there is.
func (m *jobModel) anyJob(r *rapid.T) *modelJob {
	var all []*modelJob
	for _, s := range protocol.JobStates() {
		all = append(all, m.of(s)...)
	}
	if len(all) == 0 {
		r.Skip("no job")
	}
	return rapid.SampledFrom(all).Draw(r, "job")
}

func (m *jobModel) cancelStep(r *rapid.T) {
	j := m.anyJob(r)
	_, err := m.db.CancelJob(m.ctx, meta.AnyOwner, j.id)
	m.ok(err)
	switch j.state {
	case protocol.JobReady:
		m.finish(j, protocol.JobCancelled, true)
	case protocol.JobRunning:
		if j.cancel = true; !j.leaseUntil.After(m.clock.Now()) {
			m.finish(j, protocol.JobCancelled, true)
		}
	}
}

func (m *jobModel) retryStep(r *rapid.T) {
	j := m.anyJob(r)
	_, err := m.db.RetryJob(m.ctx, meta.AnyOwner, j.id)
	o := m.about(protocol.JobReady, j.subject)
	switch {
	case j.state == protocol.JobRunning || j.state == protocol.JobDone:
		m.kind(err, protocol.KindConflict)
		return
	case j.state.Ended() && o != nil && o.every > 0 && o.attempts == 0:
		j.every = o.every
		delete(m.jobs, o.id)
	case j.state.Ended() && o != nil:
		m.kind(err, protocol.KindConflict)
		return
	}
	m.ok(err)
	j.state, j.attempts, j.runAt, j.fence = protocol.JobReady, 0, m.clock.Now(), j.fence+1
}

func (m *jobModel) abandonStep(*rapid.T) {
	n, err := m.db.AbandonLeases(m.ctx, "")
	m.ok(err)
	running := m.of(protocol.JobRunning)
	m.same("abandoned", n, len(running))
	for _, j := range running {
		j.leaseUntil = m.clock.Now()
	}
}

// passTime moves the clock, sometimes beyond a lease.
func (m *jobModel) passTime(r *rapid.T) {
	d := time.Duration(rapid.IntRange(0, 5).Draw(r, "seconds")) * time.Second
	if rapid.IntRange(0, 3).Draw(r, "long") == 3 {
		d = lease
	}
	m.clock.Add(d)
}
