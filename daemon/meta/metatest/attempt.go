package metatest

import (
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

var attemptTests = map[string]func(*env){
	"as many may fail as there are slots": func(e *env) {
		l := meta.Limit{Failures: 3, Within: time.Hour, Patience: time.Minute}
		e.attempted("s", l, meta.Attempted{Free: time.Hour})
		first := e.attempt("s", l)
		e.clock.Add(time.Second)
		second, third := e.attempt("s", l), e.attempt("s", l)
		e.attempted("s", l, meta.Attempted{Running: 3, Free: time.Hour})
		e.noAttempt(l, meta.Attempted{Running: 3, Free: time.Hour})
		e.attempt("another", l)
		e.ok(e.db.EndAttempt(e.ctx, second, false))
		e.ok(e.db.AddFailure(e.ctx, "s", l))
		e.ok(e.db.EndAttempt(e.ctx, first, true))
		e.ok(e.db.EndAttempt(e.ctx, third, true))
		e.ok(e.db.AddFailure(e.ctx, "s", l))
		e.noAttempt(l, meta.Attempted{Failed: 3, Free: time.Hour - time.Second})
		e.clock.Add(time.Hour - time.Second)
		e.attempted("s", l, meta.Attempted{Failed: 2, Free: time.Second})
		e.ok(e.db.EndAttempt(e.ctx, e.attempt("s", l), true))
		e.noAttempt(l, meta.Attempted{Failed: 3, Free: time.Second})
	},
	"an attempt of which nobody hears again has failed": func(e *env) {
		l := meta.Limit{Failures: 1, Within: time.Hour, Patience: time.Minute}
		late := e.attempt("s", l)
		e.clock.Add(time.Minute)
		e.noAttempt(l, meta.Attempted{Failed: 1, Free: 59 * time.Minute})
		e.ok(e.db.EndAttempt(e.ctx, late, false))
		e.clock.Add(time.Minute)
		again := e.attempt("s", l)
		e.ok(e.db.EndAttempt(e.ctx, late, false)) // whose slot is another's
		e.noAttempt(l, meta.Attempted{Running: 1, Free: time.Hour})
		e.ok(e.db.EndAttempt(e.ctx, again, true))
		e.clock.Add(-48 * time.Hour)
		e.attempt("s", l)
	},
	"those that begin at once have a slot each": func(e *env) {
		l := meta.Limit{Failures: 5, Within: time.Hour, Patience: time.Minute}
		var mu sync.Mutex
		slots := map[int]int{}
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				a, _, err := e.db.BeginAttempt(e.ctx, "s", l)
				mu.Lock()
				defer mu.Unlock()
				if slots[a.Slot]++; err != nil {
					e.Errorf("begin: %v", err)
				}
			})
		}
		wg.Wait()
		e.same("slots", slots, map[int]int{0: 25, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1})
	},
	"attempts are pruned": func(e *env) {
		l := meta.Limit{Failures: 1, Within: time.Hour, Patience: time.Minute}
		e.attempt("a", l)
		e.ok(e.db.AddFailure(e.ctx, "b", l))
		e.clock.Add(time.Hour)
		e.attempt("c", l)
		n, err := e.db.Prune(e.ctx, e.clock.Now().Add(-time.Minute), 10)
		e.ok(err)
		e.same("pruned", n, 2)
		e.attempted("c", l, meta.Attempted{Running: 1, Free: time.Hour})
	},
}

func (e *env) attempt(subject string, l meta.Limit) meta.Attempt {
	e.Helper()
	a, all, err := e.db.BeginAttempt(e.ctx, subject, l)
	e.ok(err)
	if a.Slot == 0 {
		e.Fatalf("no slot of %s is free: %+v", subject, all)
	}
	return a
}

func (e *env) noAttempt(l meta.Limit, want meta.Attempted) {
	e.Helper()
	a, all, err := e.db.BeginAttempt(e.ctx, "s", l)
	e.ok(err)
	e.same("slot", a.Slot, 0)
	e.same("attempts", all, want)
}

func (e *env) attempted(subject string, l meta.Limit, want meta.Attempted) {
	e.Helper()
	all, err := e.db.Attempted(e.ctx, subject, l)
	e.ok(err)
	e.same("attempts", all, want)
}
