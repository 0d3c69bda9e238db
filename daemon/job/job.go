// Package job runs durable work: what a transaction enqueued is done by some
// node, once at a time, and again until it is done, whatever dies meanwhile.
// It knows no kind of job by name; daemon/jobs.go lists them all.
//
// To have something done, a verb of daemon/meta calls tx.enqueue in the
// transaction that makes it due, and everybody else DB.Enqueue. To do it,
// register a Handler for the kind:
//
//	job.Handler{Kind: protocol.JobScrub, Do: job.With(s.scrub), Concurrency: 2, Timeout: time.Hour}
//
//	func (s *scrubber) scrub(ctx context.Context, r *job.Run, args scrubArgs) error
//
// The context of a handler ends when its lease is lost, its time is over, the
// job was cancelled or the daemon drains; context.Cause tells which. Every write
// that a handler makes with that context through daemon/meta is fenced: it
// happens in one transaction with the look whether the lease is still the job's,
// and is meta.ErrLeaseLost otherwise. So a handler that was stopped for longer
// than its lease cannot write late. What cannot be fenced (an object that is
// deleted, a request that is sent) may happen twice: handlers are idempotent.
//
// A handler ends with nil when the job is done, with Snooze to go on later
// without a failure, with Hopeless where no attempt would do, and with any other
// error to be tried again, with a growing pause, until the job's attempts are
// used up: then it is dead, until somebody retries it. A panic is such an error.
// Run.Save keeps where to go on; Run.Progress tells people how far it is.
package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Why the context of a handler ended, beside meta.ErrLeaseLost: what
// context.Cause gives.
var (
	ErrCancelled = errors.New("the job was cancelled")
	ErrDraining  = errors.New("the daemon drains; the job goes on elsewhere or after the start")
	ErrTimeout   = errors.New("the job took longer than it may")
)

// Handler does the jobs of a kind.
type Handler struct {
	Kind protocol.JobKind
	// Do is an attempt.
	Do func(ctx context.Context, r *Run) error
	// Concurrency is how many this process runs at once, 1 where 0.
	Concurrency int
	// Timeout bounds an attempt; 0 does not.
	Timeout time.Duration
	// Lease is after how long without a sign of life another process takes a
	// job over, 30 s where 0.
	Lease time.Duration
	// Backoff is how long a job waits after its nth failed attempt, from 1 on;
	// nil doubles from 5 s to an hour, each up to half more or less.
	Backoff func(attempt int) time.Duration
}

// Periodic is a job that comes again and again, once for all nodes.
type Periodic struct {
	// Job needs a Subject, by which its runs know each other.
	Job meta.NewJob
	// Every is from the end of a run to the next; 0 has none.
	Every time.Duration
}

// With is the Do of a handler whose args are an A. Args that are none are
// hopeless.
func With[A any](do func(ctx context.Context, r *Run, args A) error) func(context.Context, *Run) error {
	return func(ctx context.Context, r *Run) error {
		var args A
		if err := decode(r.Job.Args, &args); err != nil {
			return Hopeless(fmt.Errorf("its args %.200q are not those of kind %s: %w", r.Job.Args, r.Job.Kind, err))
		}
		return do(ctx, r, args)
	}
}

// decode reads exactly one JSON value without fields that nobody knows.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind them")
	}
	return nil
}

type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// Hopeless is err with which the job is dead at once.
func Hopeless(err error) error { return hopeless{err} }

type snooze time.Duration

func (s snooze) Error() string { return "the job goes on in " + time.Duration(s).String() }

// Snooze ends an attempt that goes on after d, and neither failed nor counts.
func Snooze(d time.Duration) error { return snooze(d) }
