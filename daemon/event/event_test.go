package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a database in a bubble of its own time, and hubs that run on it.
type world struct {
	*testing.T
	db   *meta.DB
	uids protocol.UID
}

func inBubble(t *testing.T, test func(w *world)) {
	path := filepath.Join(t.TempDir(), "meta.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := meta.Open(t.Context(), meta.Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(&world{T: t, db: db, uids: 1000})
	})
}

// run runs a hub of these consumers until stop is called.
func (w *world) run(records Records, consumers ...Consumer) (stop func()) {
	return w.start(Config{Meta: records, Consumers: consumers})
}

func (w *world) start(cfg Config) (stop func()) {
	cfg.Logger = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		New(cfg).Run(ctx)
	}()
	synctest.Wait() // consumers are registered
	return func() {
		cancel()
		<-done
	}
}

// put makes a file of this name, of no bytes, which makes an event.
func (w *world) put(names ...string) {
	w.Helper()
	for _, name := range names {
		w.uids++
		if _, err := w.db.PutFile(w.Context(), meta.NewFile{FileFields: meta.FileFields{Owner: "ann", Name: name}, UID: w.uids,
			CommittedAt: time.Now(), ETag: `"e"`}, nil); err != nil {
			w.Fatal(err)
		}
	}
}

// heard notes the names of files whose events it is handed.
type heard struct {
	mu    sync.Mutex
	names []string
	// at is when each was.
	at []time.Duration
	// began is when listening began.
	began time.Time
	// fails says how an event ends.
	fails func(name string) error
}

func newHeard() *heard { return &heard{began: time.Now()} }

func (h *heard) handle(_ context.Context, e meta.Event) error {
	h.mu.Lock()
	h.names, h.at = append(h.names, *e.Name), append(h.at, time.Since(h.began))
	h.mu.Unlock()
	if h.fails == nil {
		return nil
	}
	return h.fails(*e.Name)
}

func (h *heard) is(t *world, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.names, want) {
		t.Fatalf("it heard %v, want %v", h.names, want)
	}
}

func (h *heard) consumer(name string, kinds ...protocol.EventKind) Consumer {
	return Consumer{Name: name, Kinds: kinds, Handle: h.handle}
}

// Each consumer hears each event of its kinds once, in order, soon after it
// happened.
func TestConsumersHearInOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		all, deletions, none := newHeard(), newHeard(), newHeard()
		stop := w.run(w.db, all.consumer("all"), deletions.consumer("deletions", protocol.EventFileDeleted), none.consumer("none", protocol.EventJobDead))
		defer stop()
		w.put("a", "b")
		if err := w.db.DeleteFile(w.Context(), "ann", w.uids); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * gather)
		synctest.Wait()
		all.is(w, "a", "b", "b")
		deletions.is(w, "b")
		none.is(w)
		w.put("c")
		time.Sleep(2 * gather)
		synctest.Wait()
		all.is(w, "a", "b", "b", "c")
	})
}

// What fails comes again, after pauses that double, while the others wait;
// after the eighth time it is a job, and they go on.
func TestPoisonIsParked(t *testing.T) {
	for name, fails := range map[string]func(string) error{
		"error": func(name string) error {
			if name == "poison" {
				return errors.New("oh")
			}
			return nil
		},
		"panic": func(name string) error {
			if name == "poison" {
				panic("oh")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				h, fine := newHeard(), newHeard()
				h.fails = fails
				stop := w.run(w.db, h.consumer("c"), fine.consumer("fine"))
				defer stop()
				w.put("a", "poison", "b", "c")
				time.Sleep(time.Second)
				fine.is(w, "a", "poison", "b", "c")
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				want := append([]string{"a"}, slices.Repeat([]string{"poison"}, triesMax)...)
				h.is(w, append(want, "b", "c")...)
				for i := 2; i <= triesMax; i++ {
					pause, least := h.at[i]-h.at[i-1], firstPause<<(i-2)
					if pause < least || pause > least*5/4+time.Second/10 {
						t.Errorf("before try %d it waited %s", i, pause)
					}
				}
				jobs, err := w.db.LeaseJobs(w.Context(), meta.JobHolder{Name: "h"}, meta.JobLine{Kind: protocol.JobEvent}, time.Minute, 10)
				if err != nil || len(jobs) != 1 || jobs[0].Subject != "c/2" {
					t.Errorf("the jobs are %+v, %v", jobs, err)
				}
			})
		})
	}
}

// A failure that passes is no reason to park, nor to hear the others again.
func TestFailureThatPasses(t *testing.T) {
	inBubble(t, func(w *world) {
		h, left := newHeard(), 3
		h.fails = func(name string) error {
			if name != "b" || left == 0 {
				return nil
			}
			left--
			return errors.New("not now")
		}
		stop := w.run(w.db, h.consumer("c"))
		defer stop()
		w.put("a", "b", "c")
		time.Sleep(time.Minute)
		synctest.Wait()
		h.is(w, "a", "b", "b", "b", "b", "c")
	})
}

// A process that stops in the middle of a batch, or dies there, loses nothing:
// what was settled does not come again, the rest does.
func TestNothingIsLostOverAStop(t *testing.T) {
	for _, settled := range []bool{true, false} {
		t.Run(fmt.Sprint("settled ", settled), func(t *testing.T) {
			inBubble(t, func(w *world) {
				inB := make(chan struct{})
				first := newHeard()
				var stop func()
				records := &faulty{Records: w.db}
				stop = w.run(records, Consumer{Name: "c", Handle: func(ctx context.Context, e meta.Event) error {
					if err := first.handle(ctx, e); err != nil || *e.Name != "b" {
						return err
					}
					close(inB)
					<-ctx.Done()
					return ctx.Err()
				}})
				w.put("a", "b", "c")
				<-inB
				records.set(!settled)
				stop()
				first.is(w, "a", "b")
				second := newHeard()
				defer w.run(w.db, second.consumer("c"))()
				time.Sleep(time.Second)
				synctest.Wait()
				if settled {
					second.is(w, "b", "c")
				} else {
					second.is(w, "a", "b", "c")
				}
			})
		})
	}
}

// faulty is a database that fails while it is told to.
type faulty struct {
	Records
	mu     sync.Mutex
	broken bool
	states int
}

func (f *faulty) set(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

func (f *faulty) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return errors.New("the database is away")
	}
	return nil
}

func (f *faulty) EventState(ctx context.Context) (bool, int64, error) {
	f.mu.Lock()
	f.states++
	f.mu.Unlock()
	if err := f.err(); err != nil {
		return false, 0, err
	}
	return f.Records.EventState(ctx)
}

func (f *faulty) SettleEvents(ctx context.Context, name, holder string, to int64) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Records.SettleEvents(ctx, name, holder, to)
}

func (f *faulty) TakeEvents(ctx context.Context, name, holder string, lease time.Duration, limit int) (meta.Batch, error) {
	if err := f.err(); err != nil {
		return meta.Batch{}, err
	}
	return f.Records.TakeEvents(ctx, name, holder, lease, limit)
}

// While the database is away nothing is told; when it is back, all is.
func TestDatabaseIsAwayForAWhile(t *testing.T) {
	inBubble(t, func(w *world) {
		h, records := newHeard(), &faulty{Records: w.db}
		stop := w.run(records, h.consumer("c"))
		defer stop()
		records.set(true)
		w.put("a", "b")
		time.Sleep(time.Hour)
		h.is(w)
		records.set(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.is(w, "a", "b")
	})
}

// With nothing to tell the database is asked every five seconds, once; what
// another process did is found so.
func TestIdleAsksLittle(t *testing.T) {
	inBubble(t, func(w *world) {
		h, records := newHeard(), &faulty{Records: w.db}
		stop := w.run(records, h.consumer("c"))
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		records.mu.Lock()
		asked := records.states
		records.mu.Unlock()
		if asked > 13 {
			t.Errorf("it was asked %d times in a minute", asked)
		}
		w.put("a")
		select {
		case <-w.db.Emitted(): // nobody heard it
		default:
		}
		time.Sleep(lookEvery + time.Second)
		synctest.Wait()
		h.is(w, "a")
	})
}

// A follower is called until it says that there is no more.
func TestFollower(t *testing.T) {
	inBubble(t, func(w *world) {
		var mu sync.Mutex
		steps, fails := 0, true
		stop := w.start(Config{Meta: w.db, Followers: []Follower{{Name: "f", Step: func(context.Context) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			steps++
			if fails {
				fails = false
				return false, errors.New("not now")
			}
			return steps%3 != 0, nil
		}}}})
		defer stop()
		count := func() int {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return steps
		}
		if n := count(); n != 3 { // one failed, one had more, one had not
			t.Errorf("%d steps at the beginning", n)
		}
		w.put("a")
		if n := count(); n != 6 {
			t.Errorf("%d steps after an event", n)
		}
	})
}

func TestRedo(t *testing.T) {
	h := newHeard()
	h.fails = func(name string) error {
		if name == "bad" {
			panic("oh")
		}
		return nil
	}
	hub := New(Config{Consumers: []Consumer{h.consumer("c")}})
	name, bad := "good", "bad"
	if err := hub.Redo(t.Context(), "c", meta.Event{Name: &name}); err != nil {
		t.Error(err)
	}
	if err := hub.Redo(t.Context(), "c", meta.Event{Name: &bad}); err == nil {
		t.Error("a panic is no error")
	}
	if err := hub.Redo(t.Context(), "d", meta.Event{Name: &name}); !errors.Is(err, ErrNoConsumer) {
		t.Error("nobody is called so")
	}
}

func TestOneNameOnce(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two consumers of one name are taken")
		}
	}()
	New(Config{Consumers: []Consumer{{Name: "c"}, {Name: "c"}}})
}
