package meta

import "context"

type leaseKey struct{}

// Fenced makes every write that is done with the context an effect of the job:
// it happens only while the lease is the job's, in one transaction with the
// look at that, and is ErrLeaseLost otherwise.
func Fenced(ctx context.Context, l JobLease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// leaseOf is the lease that ctx carries.
func leaseOf(ctx context.Context) (l JobLease, ok bool) {
	l, ok = ctx.Value(leaseKey{}).(JobLease)
	return l, ok
}

// fenced is fn, held to the lease of ctx where it has one. The job's row is
// locked last, as the order of locks has it, and stays so until the commit: who
// takes the job over comes before or after all of it.
func fenced(ctx context.Context, fn func(*tx) error) func(*tx) error {
	l, ok := leaseOf(ctx)
	if !ok {
		return fn
	}
	return func(t *tx) error {
		if err := fn(t); err != nil {
			return err
		}
		held, err := t.one(`SELECT 1 FROM jobs WHERE id = ? AND fence = ? AND state = 'running' FOR UPDATE`, []any{int64(l.Job), l.Fence}, new(int))
		if err == nil && !held {
			err = ErrLeaseLost
		}
		return err
	}
}
