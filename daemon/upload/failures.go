package upload

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// limiter holds each subject to a number of failures in an hour.
type limiter interface {
	// check is KindRateLimited where subject may try no more now.
	check(ctx context.Context, subject string) error
	// begin admits an attempt, which the caller ends, or is KindRateLimited.
	begin(ctx context.Context, subject string) (attempt, error)
	// add notes a failure that is not of an attempt which was begun.
	add(ctx context.Context, subject string)
}

// attempt is one proof being checked.
type attempt interface {
	// fail says that the attempt's proof was wrong.
	fail()
	// end makes room for the next attempt.
	end()
}

// refusal is what a subject is told that is over its limit.
type refusal struct{ message, hint string }

func (r refusal) after(d time.Duration) error {
	return &protocol.Error{Kind: protocol.KindRateLimited, RetryAfter: d, Message: r.message, Hint: r.hint}
}

// newLimiter is one of this process alone, or, where others work on the database
// too, one that counts there.
func (s *Service) newLimiter(limit int, r refusal) limiter {
	if s.cfg.Shared {
		return newSharedFailures(s.db, limit, r, s.log)
	}
	return newFailures(limit, s.cfg.Clock, r)
}

// failures holds each subject to a number of failures in an hour: of proofs, or
// of links that were used for other bytes than before. An
// attempt that runs counts as one that may fail: as many as could still fail
// run at once, and those beyond wait for the outcome of one of them. So
// parallel guesses cannot go over the limit, and parallel honest claims are
// never refused.
type failures struct {
	limit int
	now   func() time.Time
	refusal

	mu       sync.Mutex
	subjects map[string]*failing // guarded by mu
	// forgetAt is how many subjects there are when those whose time is over are
	// next looked for. Guarded by mu.
	forgetAt int
}

// failing is what is remembered of one subject: nothing once an hour passed
// without a failure. Guarded by failures.mu.
type failing struct {
	at      []time.Time // of the failures, the oldest first
	running int
	// ended is closed and replaced whenever an attempt ends.
	ended chan struct{}
}

const (
	failureWindow = time.Hour
	// fewSubjects are not looked through.
	fewSubjects = 64
)

func newFailures(limit int, now func() time.Time, r refusal) *failures {
	return &failures{limit: limit, now: now, refusal: r, subjects: map[string]*failing{}, forgetAt: fewSubjects}
}

// failingAttempt is an attempt of failures.
type failingAttempt struct {
	f       *failures
	subject string
	failed  bool
}

func (f *failures) check(_ context.Context, subject string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.overLocked(f.ofLocked(subject))
}

func (f *failures) begin(ctx context.Context, subject string) (attempt, error) {
	for {
		f.mu.Lock()
		s := f.ofLocked(subject)
		if err := f.overLocked(s); err != nil {
			f.mu.Unlock()
			return nil, err
		}
		if len(s.at)+s.running < f.limit {
			s.running++
			f.keepLocked(subject, s)
			f.mu.Unlock()
			return &failingAttempt{f: f, subject: subject}, nil
		}
		ended := s.ended
		f.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// ofLocked is what is remembered of subject now. The caller holds mu.
func (f *failures) ofLocked(subject string) *failing {
	s := f.subjects[subject]
	if s == nil {
		return &failing{ended: make(chan struct{})}
	}
	now := f.now()
	s.at = slices.DeleteFunc(s.at, func(at time.Time) bool {
		// A clock that went back makes nothing last longer.
		age := now.Sub(at)
		return age >= failureWindow || age < 0
	})
	if len(s.at) == 0 && s.running == 0 {
		delete(f.subjects, subject)
	}
	return s
}

func (f *failures) overLocked(s *failing) error {
	if len(s.at) < f.limit {
		return nil
	}
	return f.after(s.at[0].Add(failureWindow).Sub(f.now()))
}

func (f *failures) add(_ context.Context, subject string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.ofLocked(subject)
	s.at = append(s.at, f.now())
	f.keepLocked(subject, s)
}

// keepLocked remembers a subject. Of most nobody asks again, and so those whose
// time is over are let go of whenever there are twice as many as were left the
// last time. The caller holds mu.
func (f *failures) keepLocked(subject string, s *failing) {
	f.subjects[subject] = s
	if len(f.subjects) < f.forgetAt {
		return
	}
	for other := range f.subjects {
		f.ofLocked(other)
	}
	f.forgetAt = max(fewSubjects, 2*len(f.subjects))
}

func (a *failingAttempt) fail() { a.failed = true }

func (a *failingAttempt) end() {
	f := a.f
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.subjects[a.subject]
	s.running--
	if a.failed {
		s.at = append(s.at, f.now())
	}
	close(s.ended)
	s.ended = make(chan struct{})
	f.ofLocked(a.subject)
}
