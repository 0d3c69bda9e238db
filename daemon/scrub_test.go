package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// askScrub asks for a scrub of everything.
func (w *world) askScrub() protocol.JobID {
	w.t.Helper()
	id, _, err := w.db.Enqueue(w.t.Context(), meta.NewJob{Kind: protocol.JobScrub, Subject: "all", Priority: protocol.PriorityIdle})
	must(w.t, err)
	return id
}

func (w *world) scrubs() job.Handler {
	return job.Handler{Kind: protocol.JobScrub, Do: job.With(w.scrub.Do), Concurrency: 2}
}

func (w *world) jobOf(id protocol.JobID) meta.Job {
	w.t.Helper()
	j, err := w.db.Job(w.t.Context(), meta.AnyOwner, id)
	must(w.t, err)
	return j
}

// went expects how a job ended.
func (w *world) went(id protocol.JobID, state protocol.JobState, done, total int64, note string) {
	w.t.Helper()
	j := w.jobOf(id)
	if j.State != state || j.Progress == nil || j.Progress.Total == nil || j.Progress.Done != done || *j.Progress.Total != total || j.Progress.Note != note {
		w.t.Errorf("job %d is %s (%s) at %+v", id, j.State, j.Error, j.Progress)
	}
}

// running runs scrubs as a daemon does, until stop.
func (w *world) running() (stop func()) {
	w.t.Helper()
	return w.runs(w.scrubs())
}

// runs is running of another handler's jobs.
func (w *world) runs(h job.Handler) (stop func()) {
	w.t.Helper()
	q, err := job.New(job.Config{Meta: w.db, Alone: true, Holder: meta.JobHolder{Name: "one"}, Logger: slog.New(slog.DiscardHandler), Handlers: []job.Handler{h}})
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// eventually waits until the job is in the state.
func (w *world) eventually(id protocol.JobID, state protocol.JobState) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); w.jobOf(id).State != state; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("job %d is %s and not %s within a minute", id, w.jobOf(id).State, state)
		}
	}
}

func TestScrubOfEverything(t *testing.T) {
	for _, s := range []setup{{}, {mem: true}} {
		w := newWorld(t, s)
		var total int64
		var bad protocol.UID
		for i, size := range []int{0, 1, 1000, bs, 3*bs + 1} {
			data := noise(byte(i), size)
			if bad = w.put("ann", fmt.Sprint(i), data); size > 0 {
				w.put("bob", fmt.Sprint(i), data)
			}
			total += int64(size)
		}
		w.clocks.pass(time.Hour)
		id := w.askScrub()
		w.runDue(t.Context(), w.scrubs())
		w.went(id, protocol.JobDone, total, total, "")
		verified := w.verified()
		if len(verified) != 5 || w.scrubbed.Load() != 5 || w.damagedContents.Load() != 0 {
			t.Errorf("verified are %v; %d were scrubbed, %d damaged", verified, w.scrubbed.Load(), w.damagedContents.Load())
		}
		w.clocks.pass(time.Hour)
		if s.mem {
			w.end()
			continue
		}
		w.damage("bob", bad+1, 2*bs)
		id = w.askScrub()
		w.runDue(t.Context(), w.scrubs())
		w.went(id, protocol.JobDone, total, total, "1 damaged")
		wantKind(t, w.read("ann", bad, new(strings.Builder)), protocol.KindContentCorrupt)
		if verified := w.verified(); len(verified) != 4 {
			t.Errorf("verified are %v", verified)
		}
		w.put("ann", "heals", noise(4, 3*bs+1))
		w.end()
	}
}

// verified are the live contents that were verified now.
func (w *world) verified() (list []meta.ContentID) {
	w.t.Helper()
	all, err := w.db.Scrubbable(w.t.Context(), 0, 1<<60, 1000)
	must(w.t, err)
	for _, c := range all {
		if c.VerifiedAt.Equal(w.clocks.Now()) {
			list = append(list, c.Content)
		}
	}
	return list
}

// TestScrubIsCancelledAndResumed: a scrub that is cancelled in the middle of a
// content, and then tried again, goes on at the block where it was.
func TestScrubIsCancelledAndResumed(t *testing.T) {
	w := newWorld(t, setup{})
	const blocks = 12
	w.putSmall("ann", "small", noise(1, 1000))
	w.put("ann", "large", noise(2, blocks*bs))
	w.clocks.pass(time.Hour)
	id := w.askScrub()
	read := 0
	w.pacing = func(ctx context.Context) {
		if read++; read != 6 {
			return
		}
		if _, err := w.db.CancelJob(t.Context(), meta.AnyOwner, id); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		read-- // it is not read now
	}
	stop := w.running()
	w.eventually(id, protocol.JobCancelled)
	stop()
	w.went(id, protocol.JobCancelled, 1000+4*bs, 1000+blocks*bs, "")
	if n := len(w.verified()); n != 1 {
		t.Errorf("%d contents are verified", n)
	}
	w.pacing = func(context.Context) { read++ }
	if _, err := w.db.RetryJob(t.Context(), meta.AnyOwner, id); err != nil {
		t.Fatal(err)
	}
	stop = w.running()
	w.eventually(id, protocol.JobDone)
	stop()
	w.went(id, protocol.JobDone, 1000+blocks*bs, 1000+blocks*bs, "")
	if n := len(w.verified()); n != 2 || read != 1+blocks {
		t.Errorf("%d contents are verified, %d blocks were read", n, read)
	}
	w.end()
}

// A drain is no cancellation: the scrub goes on after the start by itself.
func TestScrubGoesOnAfterADrain(t *testing.T) {
	w := newWorld(t, setup{})
	w.put("ann", "large", noise(2, 6*bs))
	w.clocks.pass(time.Hour)
	id := w.askScrub()
	read, there := 0, make(chan struct{})
	w.pacing = func(ctx context.Context) {
		if read++; read == 4 {
			close(there)
			<-ctx.Done()
		}
	}
	stop := w.running()
	<-there
	stop()
	if j := w.jobOf(id); j.State != protocol.JobReady {
		t.Fatalf("it is %s", j.State)
	}
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 6*bs, 6*bs, "")
	if read != 7 {
		t.Errorf("%d blocks were read", read)
	}
	w.end()
}

// A holder that dies leaves what it recorded; whoever comes next reads no more
// than what was read since.
func TestScrubGoesOnAfterADeath(t *testing.T) {
	w := newWorld(t, setup{})
	w.put("ann", "large", noise(2, 6*bs))
	w.clocks.pass(time.Hour)
	id := w.askScrub()
	lost := errors.New("as if the process died")
	read := 0
	w.pacing = func(ctx context.Context) {
		read++
		w.clocks.pass(6 * time.Second) // each block has it recorded where it is
		if read == 4 {
			panic(lost)
		}
	}
	w.runDue(t.Context(), w.scrubs())
	if j := w.jobOf(id); j.State != protocol.JobReady || j.Attempts != 1 {
		t.Fatalf("it is %s after %d attempts", j.State, j.Attempts)
	}
	w.clocks.pass(time.Hour)
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 6*bs, 6*bs, "")
	if read != 7 {
		t.Errorf("%d blocks were read", read)
	}
	w.end()
}

func TestScrubWhileThingsChange(t *testing.T) {
	w := newWorld(t, setup{})
	moves, goes := noise(1, 4*bs), noise(2, 4*bs)
	w.put("ann", "moves", moves)
	gone := w.put("ann", "goes", goes)
	w.put("ann", "stays", noise(3, bs))
	w.clocks.pass(time.Hour)
	id := w.askScrub()
	read := 0
	w.pacing = func(context.Context) {
		switch read++; read {
		case 2:
			w.clocks.pass(time.Second)
			w.put("bob", "moves", moves) // wins
			w.round2()                   // and the old bytes are gone
			w.put("bob", "late", noise(4, bs))
		case 4 + 4 + 2: // moved, it was begun anew
			w.delete("ann", gone)
			w.round2()
		}
	}
	w.runDue(t.Context(), w.scrubs())
	w.pacing = nil
	w.went(id, protocol.JobDone, 9*bs, 9*bs, "")
	if j := w.jobOf(id); j.Error != "" {
		t.Error(j.Error)
	}
	w.end()
}

// round2 is a round of the sweep alone.
func (w *world) round2() {
	w.t.Helper()
	_, err := w.sweep.Round(w.t.Context())
	must(w.t, err)
}

// What was received since the pass began is not read by it, and neither is what
// it read before.
func TestScrubReadsNothingTwice(t *testing.T) {
	w := newWorld(t, setup{})
	data := noise(2, bs)
	w.put("ann", "a", noise(1, bs))
	w.put("ann", "b", data)
	w.put("ann", "c", noise(3, bs))
	w.clocks.pass(time.Hour)
	id, read := w.askScrub(), 0
	w.pacing = func(context.Context) {
		if read++; read == 2 {
			w.clocks.pass(time.Second)
			w.put("bob", "c", noise(3, bs))   // received again
			w.put("bob", "d", noise(4, 2*bs)) // and new
			panic("as if the process died")
		}
	}
	w.runDue(t.Context(), w.scrubs())
	w.clocks.pass(time.Hour)
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 3*bs, 3*bs, "")
	if read != 3 { // a, b, b
		t.Errorf("%d blocks were read", read)
	}
	w.end()
}

// A store that is away is waited for, for a while; single contents that cannot
// be read are passed over.
func TestScrubOfAStoreThatIsAway(t *testing.T) {
	var st *absent
	w := newWorld(t, setup{mem: true, wrap: func(b store.Backend) store.Backend { st = &absent{Backend: b}; return st }})
	for i := range 10 {
		w.putSmall("ann", fmt.Sprint(i), noise(byte(i), 1000))
	}
	w.clocks.pass(time.Hour)
	id, read := w.askScrub(), 0
	w.pacing = func(context.Context) {
		read++
		st.away = read <= 3
	}
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 10_000, 10_000, "3 not readable")

	w.clocks.pass(time.Hour)
	id, read = w.askScrub(), 0
	w.pacing = func(context.Context) {
		read++
		st.away = read > 1 && read <= 9
	}
	w.runDue(t.Context(), w.scrubs())
	if j := w.jobOf(id); j.State != protocol.JobReady || j.Attempts != 0 || read != 9 {
		t.Fatalf("it is %s after %d attempts and %d contents", j.State, j.Attempts, read)
	}
	w.clocks.pass(5 * time.Minute)
	w.runDue(t.Context(), w.scrubs())
	w.went(id, protocol.JobDone, 10_000, 10_000, "")
	if read != 9+9 {
		t.Errorf("%d contents were tried", read)
	}

	w.clocks.pass(time.Hour)
	id = w.askScrub()
	w.pacing = func(context.Context) { st.away = true }
	waits := 0
	for w.runDue(t.Context(), w.scrubs()); w.jobOf(id).State == protocol.JobReady; w.runDue(t.Context(), w.scrubs()) {
		waits++
		w.clocks.pass(5 * time.Minute)
	}
	w.went(id, protocol.JobDone, 10_000, 10_000, "10 not readable")
	if waits != 12 {
		t.Errorf("it waited %d times", waits)
	}
	st.away, w.pacing = false, nil
	w.end()
}

// A suspected content is read while everything is.
func TestScrubOfOneBesideThatOfAll(t *testing.T) {
	w := newWorld(t, setup{})
	w.put("ann", "large", noise(1, 4*bs))
	suspect := w.putSmall("ann", "suspect", noise(2, 1000))
	w.clocks.pass(time.Hour)
	_, c, err := w.db.Content(t.Context(), "ann", suspect)
	must(t, err)
	all, read := w.askScrub(), make(chan struct{})
	there := make(chan struct{})
	var held atomic.Bool
	w.pacing = func(context.Context) {
		if held.CompareAndSwap(false, true) {
			close(there)
			<-read
		}
	}
	stop := w.running()
	defer stop()
	<-there
	must(t, w.db.EnqueueScrub(t.Context(), c.ID))
	jobs, err := w.db.Jobs(t.Context(), meta.AnyOwner, meta.JobQuery{Limit: 1})
	must(t, err)
	w.eventually(jobs[0].ID, protocol.JobDone)
	w.went(jobs[0].ID, protocol.JobDone, 1000, 1000, "")
	if j := w.jobOf(all); j.State != protocol.JobRunning {
		t.Errorf("the other is %s", j.State)
	}
	close(read)
	w.eventually(all, protocol.JobDone)
	stop()
	w.end()
}
