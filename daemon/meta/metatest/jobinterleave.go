package metatest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// stagedJobs are the jobs on a stage.
type stagedJobs struct {
	// left runs and is about "left"; its lease has run out.
	left meta.LeasedJob
	// waiting waits and is about "waiting", cancelled was and is about "cancelled".
	waiting, cancelled protocol.JobID
}

func (s *stage) setJobs() {
	s.enqueue(meta.NewJob{Subject: "left"})
	leased, err := s.db.LeaseJobs(s.ctx, one, meta.JobLine{Kind: "k"}, time.Millisecond, 10)
	s.ok(err)
	s.jobs = stagedJobs{left: leased[0], waiting: s.enqueue(meta.NewJob{Subject: "waiting"}), cancelled: s.enqueue(meta.NewJob{Subject: "cancelled"})}
	_, err = s.db.CancelJob(s.ctx, meta.AnyOwner, s.jobs.cancelled)
	s.ok(err)
}

// clearJobs ends all jobs there are, so that they can be pruned.
func (s *stage) clearJobs() {
	_, err := s.db.AbandonLeases(s.ctx, "")
	s.ok(err)
	jobs, err := s.db.Jobs(s.ctx, meta.AnyOwner, meta.JobQuery{Limit: 1000})
	s.ok(err)
	kinds := map[protocol.JobKind]bool{}
	for _, j := range jobs {
		_, err := s.db.CancelJob(s.ctx, meta.AnyOwner, j.ID)
		s.ok(err)
		kinds[j.Kind] = true
	}
	for kind := range kinds { // those that run end as they are taken over
		_, err := s.db.LeaseJobs(s.ctx, other, meta.JobLine{Kind: kind, Expired: true}, time.Hour, 100)
		s.ok(err)
	}
}

// jobsText is all jobs, without their numbers.
func (s *stage) jobsText() string {
	var text strings.Builder
	jobs, err := s.db.Jobs(s.ctx, meta.AnyOwner, meta.JobQuery{Limit: 1000})
	s.ok(err)
	for _, j := range jobs {
		fmt.Fprintf(&text, "job %s %s: %s priority=%s attempts=%d cancelling=%t due=%s\n", j.Kind, j.Subject, j.State, j.Priority, j.Attempts, j.Cancelling, j.RunAt)
	}
	return text.String()
}

// What is done to jobs, each in one operation that waits for others.
var (
	fails = action{"fail", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.EndJob(ctx, s.jobs.left.Lease, meta.JobOutcome{Result: meta.ResultFailed, After: time.Minute})
	}}
	finishes = action{"finish", func(ctx context.Context, s *stage) (string, error) {
		return "", s.db.EndJob(ctx, s.jobs.left.Lease, meta.JobOutcome{})
	}}
	beats = action{"beat", func(ctx context.Context, s *stage) (string, error) {
		cancelled, err := s.db.BeatJob(ctx, s.jobs.left.Lease, time.Hour, nil, nil)
		return fmt.Sprint(cancelled), err
	}}
	asksLeft      = action{"ask for what runs", asks("left")}
	asksWaiting   = action{"ask for what waits", asks("waiting")}
	asksCancelled = action{"ask for what was cancelled", asks("cancelled")}
	cancelsLeft   = action{"cancel what runs", func(ctx context.Context, s *stage) (string, error) {
		j, err := s.db.CancelJob(ctx, meta.AnyOwner, s.jobs.left.ID)
		return string(j.State), err
	}}
	cancelsWaiting = action{"cancel what waits", func(ctx context.Context, s *stage) (string, error) {
		j, err := s.db.CancelJob(ctx, meta.AnyOwner, s.jobs.waiting)
		return string(j.State), err
	}}
	retries = action{"retry", func(ctx context.Context, s *stage) (string, error) {
		j, err := s.db.RetryJob(ctx, meta.AnyOwner, s.jobs.cancelled)
		return string(j.State), err
	}}
	// effects writes in the name of the job that runs.
	effects = action{"write", func(ctx context.Context, s *stage) (string, error) {
		_, made, err := s.db.Enqueue(meta.Fenced(ctx, s.jobs.left.Lease), meta.NewJob{Kind: "effect", Subject: "x"})
		return fmt.Sprint(made), err
	}}
	// What leases leaves what another has locked, and gives how many it leased.
	leasesWaiting = action{"lease", func(ctx context.Context, s *stage) (string, error) {
		got, err := s.db.LeaseJobs(ctx, other, meta.JobLine{Kind: "k"}, time.Hour, 10)
		return fmt.Sprint(len(got)), err
	}}
	takesOver = action{"take over", func(ctx context.Context, s *stage) (string, error) {
		got, err := s.db.LeaseJobs(ctx, other, meta.JobLine{Kind: "k", Expired: true}, time.Hour, 10)
		return fmt.Sprint(len(got)), err
	}}
)

func asks(subject string) func(ctx context.Context, s *stage) (string, error) {
	return func(ctx context.Context, s *stage) (string, error) {
		_, made, err := s.db.Enqueue(ctx, meta.NewJob{Kind: "k", Subject: subject})
		return fmt.Sprint(made), err
	}
}

// jobPairs do to each other what they do in some order.
var jobPairs = []pair{
	{fails, asksLeft}, {finishes, asksLeft}, {fails, cancelsLeft}, {beats, cancelsLeft}, {beats, finishes}, {effects, finishes}, {effects, cancelsLeft},
	{asksWaiting, cancelsWaiting}, {retries, asksCancelled},
}

// interleaveJobs holds operations of which one leases: it leaves what another has
// locked, which is no order, but as if it had come before the job was due.
// While one is held at each of its points, the other runs.
func interleaveJobs(t *testing.T, open OpenWatched) {
	for _, c := range []struct {
		pair
		// may says whether the answers of the two may be, where the second ended
		// while the first was held, or only after it.
		may func(first, second string, meanwhile bool) bool
	}{
		{pair{effects, takesOver}, func(wrote, taken string, meanwhile bool) bool {
			// Who wrote had the job until then.
			return (wrote == "true" || taken == "1") && !(wrote == "true" && taken == "1" && meanwhile)
		}},
		{pair{takesOver, effects}, func(taken, wrote string, meanwhile bool) bool { return taken == "1" && (wrote != "true" || meanwhile) }},
		{pair{fails, takesOver}, func(failed, taken string, _ bool) bool { return (failed == "") != (taken == "1") }},
		{pair{takesOver, fails}, func(taken, failed string, _ bool) bool { return (failed == "") != (taken == "1") }},
		{pair{takesOver, beats}, func(taken, beat string, _ bool) bool { return (beat == "false") != (taken == "1") }},
		{pair{takesOver, takesOver}, onlyOne},
		{pair{leasesWaiting, leasesWaiting}, onlyOne},
		{pair{leasesWaiting, cancelsWaiting}, func(leased, cancelled string, _ bool) bool {
			return (leased == "1") == (cancelled == string(protocol.JobRunning))
		}},
		{pair{cancelsWaiting, leasesWaiting}, func(cancelled, leased string, _ bool) bool {
			return (leased == "1") == (cancelled == string(protocol.JobRunning))
		}},
		{pair{leasesWaiting, asksWaiting}, func(leased, made string, meanwhile bool) bool { return leased == "1" && (made == "true" || meanwhile) }},
		{pair{fails, leasesWaiting}, func(failed, leased string, _ bool) bool { return failed == "" && leased == "1" }},
	} {
		t.Run(c.first.name+" and "+c.second.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, t, open)
			defer s.end()
			for k, more := 1, true; more; k++ {
				more = c.hold(s, k, c.may)
				if !more && k < 3 {
					t.Fatalf("%s ran no statements", c.first.name)
				}
			}
		})
	}
}

// onlyOne: of two that lease one got the job.
func onlyOne(first, second string, _ bool) bool { return first+second == "10" || first+second == "01" }

// hold runs second while first is held at its point k; more says that it has
// that many.
func (p pair) hold(s *stage, k int, may func(first, second string, meanwhile bool) bool) (more bool) {
	s.play(func() {
		first := s.start(p.first, k)
		if more = first.arrives(); !more {
			return
		}
		second := s.start(p.second, 0)
		s.await(second)
		meanwhile := happened(second.ended)
		first.release()
		<-first.ended
		<-second.ended
		if !may(first.answer, second.answer, meanwhile) {
			s.Fatalf("held at its point %d, %s gave %q; %s gave %q, meanwhile: %t\n%s", k, p.first.name, first.answer, p.second.name, second.answer, meanwhile, s.jobsText())
		}
	})
	return more
}
