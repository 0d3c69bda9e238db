package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) {
	if os.Getenv(childWay) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(metatest.OnServer(m))
}

// world is a database, and queues that run on it until the test ends.
type world struct {
	*testing.T
	db *meta.DB
}

func newWorld(t *testing.T) *world {
	db := metatest.OpenDB(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db")})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{T: t, db: db}
}

// run runs a queue; stop drains it and waits for its end.
func (w *world) run(cfg Config) (stop func()) {
	w.Helper()
	if cfg.Meta == nil {
		cfg.Meta = w.db
	}
	if cfg.Holder.Name == "" {
		cfg.Holder.Name = "one"
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	q, err := New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	w.Cleanup(stop)
	return stop
}

func (w *world) enqueue(n meta.NewJob) protocol.JobID {
	w.Helper()
	if n.Kind == "" {
		n.Kind = "k"
	}
	id, _, err := w.db.Enqueue(w.Context(), n)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func (w *world) job(id protocol.JobID) meta.Job {
	w.Helper()
	j, err := w.db.Job(w.Context(), meta.AnyOwner, id)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

// until waits for a job to be as wanted.
func (w *world) until(id protocol.JobID, what string, as func(meta.Job) bool) meta.Job {
	w.Helper()
	for {
		j := w.job(id)
		if as(j) {
			return j
		}
		select {
		case <-w.Context().Done():
			w.Fatalf("job %d is never %s: %+v", id, what, j)
		case <-time.After(time.Millisecond):
		}
	}
}

func (w *world) ends(id protocol.JobID, state protocol.JobState) meta.Job {
	w.Helper()
	j := w.until(id, "ended", func(j meta.Job) bool { return j.State.Ended() })
	if j.State != state {
		w.Fatalf("job %d is %s (%s), want %s", id, j.State, j.Error, state)
	}
	return j
}

// one is a queue's config with a handler of kind k.
func one(do func(ctx context.Context, r *Run) error) Config {
	return Config{Handlers: []Handler{{Kind: "k", Do: do}}}
}

func TestJobIsDone(t *testing.T) {
	w := newWorld(t)
	type args struct {
		A int `json:"a"`
	}
	got := make(chan int, 10)
	w.run(Config{Handlers: []Handler{{Kind: "k", Do: With(func(_ context.Context, r *Run, a args) error {
		total := int64(a.A)
		r.Progress(protocol.JobProgress{Done: 3, Total: &total, Unit: "files"})
		got <- a.A
		return nil
	})}}})
	id := w.enqueue(meta.NewJob{Args: json.RawMessage(`{"a":7}`)})
	if a := <-got; a != 7 {
		t.Errorf("it got %d", a)
	}
	if j := w.ends(id, protocol.JobDone); j.Progress == nil || j.Progress.Done != 3 || *j.Progress.Total != 7 || j.Attempts != 1 {
		t.Errorf("%+v", j)
	}
}

// TestAttemptsThatFail: each way in which an attempt ends badly, and what it
// means for the job.
func TestAttemptsThatFail(t *testing.T) {
	type args struct {
		A int `json:"a"`
	}
	for name, tt := range map[string]struct {
		do       func(ctx context.Context, r *Run) error
		timeout  time.Duration
		args     string
		attempts int
		says     string
	}{
		"an error, twice": {do: func(context.Context, *Run) error { return errors.New("broken") }, attempts: 2, says: "broken"},
		"a panic":         {do: func(context.Context, *Run) error { panic("oh") }, attempts: 2, says: "panicked: oh"},
		"hopeless":        {do: func(context.Context, *Run) error { return Hopeless(errors.New("no such file")) }, attempts: 1, says: "no such file"},
		"args of another kind": {do: With(func(context.Context, *Run, args) error { return nil }), attempts: 1,
			args: `{"b":1}`, says: `unknown field "b"`},
		"args that are none": {do: With(func(context.Context, *Run, args) error { return nil }), attempts: 1, args: `[1]`, says: "cannot unmarshal"},
		"too long": {do: func(ctx context.Context, _ *Run) error { <-ctx.Done(); return ctx.Err() }, timeout: time.Millisecond,
			attempts: 2, says: "longer than it may"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(Config{Handlers: []Handler{{Kind: "k", Do: tt.do, Timeout: tt.timeout, Backoff: func(int) time.Duration { return 0 }}}})
			id := w.enqueue(meta.NewJob{MaxAttempts: 2, Args: json.RawMessage(tt.args)})
			if j := w.ends(id, protocol.JobDead); j.Attempts != tt.attempts || !strings.Contains(j.Error, tt.says) {
				t.Errorf("after %d attempts it says %q", j.Attempts, j.Error)
			}
		})
	}
}

// TestUnknownKind: a job of a kind that a newer node knows is left for it.
func TestUnknownKind(t *testing.T) {
	w := newWorld(t)
	w.run(one(func(context.Context, *Run) error { return nil }))
	newer := w.enqueue(meta.NewJob{Kind: "newer", Priority: protocol.PriorityHigh})
	w.ends(w.enqueue(meta.NewJob{}), protocol.JobDone)
	if j := w.job(newer); j.State != protocol.JobReady || j.Attempts != 0 {
		t.Errorf("%+v", j)
	}
	w.run(Config{Holder: meta.JobHolder{Name: "new"}, Handlers: []Handler{{Kind: "newer", Do: func(context.Context, *Run) error { return nil }}}})
	w.ends(newer, protocol.JobDone)
}

// TestDrain: the handlers that run are told, and what they did not finish waits
// as if it had not been begun, for the next process.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	begun := make(chan error, 1)
	stop := w.run(one(func(ctx context.Context, r *Run) error {
		if err := r.Save(ctx, 7); err != nil {
			return err
		}
		begun <- nil
		<-ctx.Done()
		begun <- context.Cause(ctx)
		return ctx.Err()
	}))
	id := w.enqueue(meta.NewJob{MaxAttempts: 1})
	<-begun
	go stop()
	if cause := <-begun; !errors.Is(cause, ErrDraining) {
		t.Errorf("it was told %v", cause)
	}
	stop()
	if j := w.job(id); j.State != protocol.JobReady || j.Attempts != 0 {
		t.Errorf("%+v", j)
	}
	saved := make(chan int, 1)
	w.run(one(func(_ context.Context, r *Run) error {
		var at int
		found, err := r.Saved(&at)
		if found {
			saved <- at
		}
		return err
	}))
	if at := <-saved; at != 7 {
		t.Errorf("it goes on at %d", at)
	}
	w.ends(id, protocol.JobDone)
}

// TestStandsAside: a process that is to leave jobs to others gives back what it has
// of them, as a drain does, and goes on with what is bound to its node; also with
// what an earlier process of the node left. Once it stands aside no more it takes all.
func TestStandsAside(t *testing.T) {
	w := newWorld(t)
	var aside atomic.Bool
	told := make(chan error, 10)
	cfg := one(func(ctx context.Context, r *Run) error {
		if r.Job.Node != "" || r.Job.Attempts > 1 {
			return nil
		}
		told <- nil
		<-ctx.Done()
		told <- context.Cause(ctx)
		return ctx.Err()
	})
	cfg.Holder, cfg.StandsAside = meta.JobHolder{Name: "one", Node: "a"}, aside.Load
	var left []protocol.JobID
	for _, node := range []string{"a", ""} {
		id := w.enqueue(meta.NewJob{Kind: "left", Node: node})
		left = append(left, id)
	}
	if jobs, err := w.db.LeaseJobs(t.Context(), meta.JobHolder{Name: "gone", Node: "a"}, meta.JobLine{Kind: "left", Node: "a", Priority: protocol.PriorityNormal}, 0, 5); len(jobs) != 1 || err != nil {
		t.Fatalf("%v (%v)", jobs, err)
	}
	if jobs, err := w.db.LeaseJobs(t.Context(), meta.JobHolder{Name: "gone", Node: "a"}, meta.JobLine{Kind: "left", Priority: protocol.PriorityNormal}, 0, 5); len(jobs) != 1 || err != nil {
		t.Fatalf("%v (%v)", jobs, err)
	}
	cfg.Poll = time.Millisecond
	cfg.Handlers = append(cfg.Handlers, Handler{Kind: "left", Do: func(context.Context, *Run) error { return nil }})
	shared := w.enqueue(meta.NewJob{})
	aside.Store(true)
	w.run(cfg)
	w.ends(w.enqueue(meta.NewJob{Node: "a"}), protocol.JobDone)
	w.ends(left[0], protocol.JobDone)
	for id, want := range map[protocol.JobID]protocol.JobState{left[1]: protocol.JobRunning, shared: protocol.JobReady} {
		if j := w.job(id); j.State != want {
			t.Errorf("job %d, which others can do, is %s", id, j.State)
		}
	}
	aside.Store(false)
	<-told
	w.ends(left[1], protocol.JobDone)
	aside.Store(true)
	if cause := <-told; !errors.Is(cause, ErrDraining) {
		t.Errorf("it was told %v", cause)
	}
	if j := w.until(shared, "given back", func(j meta.Job) bool { return j.State == protocol.JobReady }); j.Attempts != 0 {
		t.Errorf("it is given back as %+v", j)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	told := make(chan error, 2)
	w.run(one(func(ctx context.Context, _ *Run) error {
		told <- nil
		<-ctx.Done()
		told <- context.Cause(ctx)
		return ctx.Err()
	}))
	id := w.enqueue(meta.NewJob{})
	<-told
	if _, err := w.db.CancelJob(t.Context(), meta.AnyOwner, id); err != nil {
		t.Fatal(err)
	}
	if cause := <-told; !errors.Is(cause, ErrCancelled) {
		t.Errorf("it was told %v", cause)
	}
	w.ends(id, protocol.JobCancelled)
}

// TestTwoQueues: of what two processes share each job is done once.
func TestTwoQueues(t *testing.T) {
	w := newWorld(t)
	const jobs = 60
	var runs [jobs]atomic.Int32
	var by [2]atomic.Int32
	type args struct {
		N int `json:"n"`
	}
	for i, name := range []string{"one", "other"} {
		w.run(Config{Holder: meta.JobHolder{Name: name}, Handlers: []Handler{{Kind: "k", Concurrency: 3, Do: With(func(_ context.Context, _ *Run, a args) error {
			runs[a.N].Add(1)
			by[i].Add(1)
			return nil
		})}}})
	}
	var ids []protocol.JobID
	for n := range jobs {
		b, err := json.Marshal(args{n})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, w.enqueue(meta.NewJob{Args: b}))
	}
	for n, id := range ids {
		w.ends(id, protocol.JobDone)
		if got := runs[n].Load(); got != 1 {
			t.Errorf("job %d ran %d times", id, got)
		}
	}
	t.Logf("one did %d, the other %d", by[0].Load(), by[1].Load())
}

func TestNewRefuses(t *testing.T) {
	do := func(context.Context, *Run) error { return nil }
	for name, cfg := range map[string]Config{
		"two handlers of a kind":     {Handlers: []Handler{{Kind: "k", Do: do}, {Kind: "k", Do: do}}},
		"no kind":                    {Handlers: []Handler{{Do: do}}},
		"nothing to do":              {Handlers: []Handler{{Kind: "k"}}},
		"a period nobody handles":    {Periodic: []Periodic{{Job: meta.NewJob{Kind: "k", Subject: "all"}}}},
		"a period without a subject": {Handlers: []Handler{{Kind: "k", Do: do}}, Periodic: []Periodic{{Job: meta.NewJob{Kind: "k"}}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestBackoff(t *testing.T) {
	q := &Queue{cfg: Config{Random: func() float64 { return 0.5 }}}
	for attempt, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 11: time.Hour, 1000: time.Hour} {
		if got := q.backoff(attempt); got != want {
			t.Errorf("after attempt %d it waits %s, want %s", attempt, got, want)
		}
	}
	q.cfg.Random = func() float64 { return 0 }
	if got := q.backoff(1); got != backoffFirst/2 {
		t.Errorf("at least %s", got)
	}
}
