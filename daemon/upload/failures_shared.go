package upload

import (
	"context"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

const (
	// attemptPatience is how long an attempt may run whose process may be gone.
	attemptPatience = 2 * time.Minute
	// attemptPause is how long is waited until it is looked again whether one of
	// those ended that run, on whatever node.
	attemptPause = 100 * time.Millisecond
)

// sharedFailures are failures of all processes that share the database: a limit
// on guesses is not as many times as high as there are nodes. An attempt that
// runs has a slot as one that failed.
type sharedFailures struct {
	db    *meta.DB
	limit meta.Limit
	refusal
	log *slog.Logger
}

func newSharedFailures(db *meta.DB, limit int, r refusal, log *slog.Logger) *sharedFailures {
	return &sharedFailures{db: db, limit: meta.Limit{Failures: limit, Within: failureWindow, Patience: attemptPatience}, refusal: r, log: log}
}

func (f *sharedFailures) check(ctx context.Context, subject string) error {
	all, err := f.db.Attempted(ctx, subject, f.limit)
	if err == nil && all.Failed >= f.limit.Failures {
		err = f.after(all.Free)
	}
	return err
}

func (f *sharedFailures) begin(ctx context.Context, subject string) (attempt, error) {
	for {
		a, all, err := f.db.BeginAttempt(ctx, subject, f.limit)
		switch {
		case err != nil:
			return nil, err
		case a.Slot != 0:
			return &sharedAttempt{f: f, Attempt: a}, nil
		case all.Failed >= f.limit.Failures:
			return nil, f.after(all.Free)
		}
		select {
		case <-time.After(attemptPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (f *sharedFailures) add(ctx context.Context, subject string) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	if err := f.db.AddFailure(ctx, subject, f.limit); err != nil {
		f.log.Warn("a failure could not be counted", "subject", subject, "err", err)
	}
}

// sharedAttempt is an attempt of sharedFailures.
type sharedAttempt struct {
	meta.Attempt
	f      *sharedFailures
	failed bool
}

func (a *sharedAttempt) fail() { a.failed = true }

func (a *sharedAttempt) end() {
	ctx, cancel := finishing(context.Background())
	defer cancel()
	if err := a.f.db.EndAttempt(ctx, a.Attempt, a.failed); err != nil {
		a.f.log.Warn("the end of an attempt could not be noted; it counts as one that failed", "subject", a.Subject, "err", err)
	}
}
