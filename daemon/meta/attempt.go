package meta

import (
	"context"
	"time"
)

// Limit is how many attempts of a subject may fail within a time. As many slots
// as that there are of each subject, whichever process asks.
type Limit struct {
	Failures int
	Within   time.Duration
	// Patience is how long an attempt may run: one that did not end by then is
	// one that failed.
	Patience time.Duration
}

// Attempt is a slot that was taken.
type Attempt struct {
	Subject string
	Slot    int
	begun   int64
}

// Attempted is what there is of a subject.
type Attempted struct {
	// Failed are attempts that failed, Running those under way.
	Failed, Running int
	// Free is how long it is until the first of those that failed counts no more.
	Free time.Duration
}

// slots reads what is taken of a subject.
func (q query) slots(subject string, l Limit, now int64) (a Attempted, taken map[int]bool, err error) {
	taken = map[int]bool{}
	first := now
	err = q.each(`SELECT slot, begun_at, failed FROM attempts WHERE subject = ?`, []any{subject}, func(scan scanFunc) error {
		var slot int
		var begun int64
		var failed bool
		if err := scan(&slot, &begun, &failed); err != nil || l.over(begun, now) {
			return err
		}
		taken[slot] = true
		if !failed && begun > now-l.Patience.Milliseconds() {
			a.Running++
			return nil
		}
		a.Failed++
		first = min(first, begun)
		return nil
	})
	a.Free = time.Duration(first-now)*time.Millisecond + l.Within
	return a, taken, err
}

// over reports whether an attempt of begun counts no more. A clock that went
// back makes nothing last longer.
func (l Limit) over(begun, now int64) bool {
	return begun <= now-l.Within.Milliseconds() || begun > now+timerAhead.Milliseconds()
}

// Attempted gives what there is of a subject.
func (db *DB) Attempted(ctx context.Context, subject string, l Limit) (a Attempted, err error) {
	err = db.view(ctx, "look for attempts", func(q query) error {
		now, err := q.databaseNow()
		if err == nil {
			a, _, err = q.slots(subject, l, now)
		}
		return err
	})
	return a, err
}

// BeginAttempt takes a slot of the subject, to be ended by EndAttempt; where
// none is free, Slot is 0, and the rest says why. Two that begin at once, on
// whatever nodes, get two slots.
func (db *DB) BeginAttempt(ctx context.Context, subject string, l Limit) (a Attempt, all Attempted, err error) {
	err = db.update(ctx, relaxed, "begin an attempt", func(t *tx) (err error) {
		a, all, err = t.takeSlot(subject, l, false)
		return err
	})
	return a, all, err
}

// AddFailure notes a failure that is not of an attempt which was begun. Where
// no slot is free, it makes no difference.
func (db *DB) AddFailure(ctx context.Context, subject string, l Limit) error {
	return db.update(ctx, relaxed, "note a failure", func(t *tx) error {
		_, _, err := t.takeSlot(subject, l, true)
		return err
	})
}

func (t *tx) takeSlot(subject string, l Limit, failed bool) (a Attempt, all Attempted, err error) {
	now, err := t.databaseNow()
	if err != nil {
		return a, all, err
	}
	all, taken, err := t.slots(subject, l, now)
	for slot := 1; err == nil && slot <= l.Failures; slot++ {
		if taken[slot] {
			continue
		}
		// Others may have taken it since.
		var n int64
		n, err = t.exec(`INSERT INTO attempts (subject, slot, begun_at, failed) VALUES (?, ?, ?, ?) ON CONFLICT (subject, slot) DO UPDATE
			SET begun_at = excluded.begun_at, failed = excluded.failed WHERE attempts.begun_at <= ? OR attempts.begun_at > ?`,
			subject, slot, now, flag(failed), now-l.Within.Milliseconds(), now+timerAhead.Milliseconds())
		if n == 1 && err == nil {
			return Attempt{Subject: subject, Slot: slot, begun: now}, all, nil
		}
	}
	if err == nil && all.Running+all.Failed < l.Failures {
		all, _, err = t.slots(subject, l, now) // as it is with those
	}
	return a, all, err
}

// EndAttempt gives the slot back, or keeps it as one that failed.
func (db *DB) EndAttempt(ctx context.Context, a Attempt, failed bool) error {
	text := `DELETE FROM attempts WHERE subject = ? AND slot = ? AND begun_at = ?`
	if failed {
		text = `UPDATE attempts SET failed = 1 WHERE subject = ? AND slot = ? AND begun_at = ?`
	}
	return db.update(ctx, relaxed, "end an attempt", func(t *tx) error {
		_, err := t.exec(text, a.Subject, a.Slot, a.begun)
		return err
	})
}
