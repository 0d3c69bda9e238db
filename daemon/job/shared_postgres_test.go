//go:build postgres

package job

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// TestWordOfAnotherProcess: a queue that looks by itself once an hour begins
// what another process enqueued, and ends what it cancelled.
func TestWordOfAnotherProcess(t *testing.T) {
	w, on := twoProcesses(t)
	there, err := meta.Open(t.Context(), on)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := there.Close(); err != nil {
			t.Error(err)
		}
	})
	_, stop := there.JobHints() // as a process with a queue of its own
	t.Cleanup(stop)
	h := newHolding()
	w.run(Config{Poll: time.Hour, Handlers: []Handler{
		{Kind: "k", Do: func(context.Context, *Run) error { return nil }}, {Kind: "held", Do: h.do},
	}})
	w.worksFor(there, h, 3)
}

// TestBehindPgBouncer: where each transaction has another connection nobody
// hears of anything, and looking finds what another process enqueued, and what
// it cancelled.
func TestBehindPgBouncer(t *testing.T) {
	_, on := twoProcesses(t)
	address, err := url.Parse(on.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pgtest.StartBouncer(t.Context(), address.Query().Get("host"), pgtest.PerTransaction)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	here, there := openBehind(t, b, on.URL), openBehind(t, b, on.URL)
	_, stop := there.JobHints() // as a process with a queue of its own
	t.Cleanup(stop)
	w, h := &world{T: t, db: here}, newHolding()
	w.run(Config{Poll: 10 * time.Millisecond, Handlers: []Handler{
		{Kind: "k", Do: func(context.Context, *Run) error { return nil }}, {Kind: "held", Do: h.do, Lease: time.Second},
	}})
	w.worksFor(there, h, 10)
}

func openBehind(t *testing.T, b *pgtest.Bouncer, address string) *meta.DB {
	t.Helper()
	before, err := b.Before(address, url.Values{"default_query_exec_mode": {"exec"}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := meta.Open(t.Context(), meta.Config{URL: before, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// worksFor has another process enqueue jobs, one after the other, and cancel one
// that runs: the world's queue does and stops them.
func (w *world) worksFor(there *meta.DB, h holding, jobs int) {
	w.Helper()
	for range jobs {
		id, _, err := there.Enqueue(w.Context(), meta.NewJob{Kind: "k"})
		if err != nil {
			w.Fatal(err)
		}
		w.ends(id, protocol.JobDone)
	}
	id, _, err := there.Enqueue(w.Context(), meta.NewJob{Kind: "held"})
	if err != nil {
		w.Fatal(err)
	}
	<-h.begun
	if _, err := there.CancelJob(w.Context(), meta.AnyOwner, id); err != nil {
		w.Fatal(err)
	}
	<-h.ended
	w.ends(id, protocol.JobCancelled)
}
