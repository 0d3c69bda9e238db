//go:build postgres

package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// through opens a database of a server through a proxy that asks fate of each
// commit.
func through(t *testing.T, dir, name string, settings url.Values, fate func() pgtest.Fate) *DB {
	t.Helper()
	p, err := pgtest.NewProxy(dir, fate)
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), Config{URL: p.URL(name, settings), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(errors.Join(err, p.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// flaky is a database of the test's own behind a proxy.
func flaky(t *testing.T, fate func() pgtest.Fate) *DB {
	t.Helper()
	u, err := url.Parse(pgtest.Database(t, t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	// A transaction whose client is gone is ended soon.
	soon := url.Values{"idle_in_transaction_session_timeout": {"500ms"}}
	return through(t, u.Query().Get("host"), path.Base(u.Path), soon, fate)
}

// durableServer is one that syncs, with an empty database called ospd.
func durableServer(t *testing.T) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := pgtest.Create(t.Context(), s.Dir(), "ospd", "template0"); err != nil {
		t.Fatal(err)
	}
	return s
}

func set(name string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, '1')`, name)
		return err
	}
}

// count is how many settings there are of the test's own.
func count(t *testing.T, db *DB) (n int) {
	t.Helper()
	if err := db.look(t.Context(), "count", func(q query) error {
		_, err := q.one(`SELECT COUNT(*) FROM settings WHERE name LIKE 'test/%'`, nil, &n)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// What is lost around a commit is found out: the operation took place once,
// and says so.
func TestLostCommits(t *testing.T) { lostCommits(t, flaky) }

func lostCommits(t *testing.T, open func(t *testing.T, fate func() pgtest.Fate) *DB) {
	for name, c := range map[string]struct {
		fate pgtest.Fate
		// commits is how many it takes.
		commits int64
	}{
		"before it reached the server":   {pgtest.LostBefore, 2},
		"before its answer came back":    {pgtest.LostAfter, 1},
		"the server waits for it, alone": {pgtest.Stuck, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var commits atomic.Int64
			var lose atomic.Bool
			db := open(t, func() pgtest.Fate {
				commits.Add(1)
				if lose.CompareAndSwap(true, false) {
					return c.fate
				}
				return pgtest.Passed
			})
			for i, d := range []durability{full, kept, relaxed} {
				commits.Store(0)
				lose.Store(true)
				if err := db.update(t.Context(), d, "set", set(fmt.Sprint("test/", i))); err != nil {
					t.Fatalf("durability %d: %v", d, err)
				}
				if n := commits.Load(); n != c.commits {
					t.Errorf("it took %d commits, want %d", n, c.commits)
				}
				if n := count(t, db); n != i+1 {
					t.Errorf("%d rows are there, want %d", n, i+1)
				}
			}
		})
	}
}

// Many operations at once, of whose commits every third is lost one way or the
// other.
func TestLostCommitsOfMany(t *testing.T) {
	var commits atomic.Int64
	db := flaky(t, func() pgtest.Fate {
		switch commits.Add(1) % 6 {
		case 0:
			return pgtest.LostBefore
		case 3:
			return pgtest.LostAfter
		}
		return pgtest.Passed
	})
	const writers, each = 8, 25
	var wg sync.WaitGroup
	var refused atomic.Int64
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				err := db.update(context.Background(), full, "set", set(fmt.Sprintf("test/%d/%d", w, i)))
				if err != nil {
					refused.Add(1)
					if protocol.KindOf(err) != protocol.KindUnavailable {
						t.Errorf("got %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if n, want := count(t, db), writers*each-int(refused.Load()); n != want {
		t.Errorf("%d rows are there, want %d", n, want)
	}
}

// While nobody can be asked the outcome is not known, and that is what is
// said; once the database answers everything goes on.
func TestUnknownCommit(t *testing.T) {
	server := durableServer(t)
	var crash atomic.Bool
	// The server runs again and others committed; the verb may be done before.
	crashed := make(chan struct{}, 1)
	db := through(t, server.Dir(), "ospd", nil, func() pgtest.Fate {
		if crash.CompareAndSwap(true, false) {
			defer func() { crashed <- struct{}{} }()
			server.Crash()
			return pgtest.LostBefore
		}
		return pgtest.Passed
	})
	db.engine.(*pgEngine).resolvePatience = 100 * time.Millisecond
	crash.Store(true)
	if err := db.update(t.Context(), full, "set", set("test/a")); protocol.KindOf(err) != protocol.KindInternal {
		t.Errorf("got %v", err)
	}
	if err := db.update(t.Context(), full, "set", set("test/b")); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("while it is away: got %v", err)
	}
	if err := db.Ping(t.Context()); protocol.KindOf(err) != protocol.KindUnavailable {
		t.Errorf("ping: got %v", err)
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Ping(t.Context()), db.update(t.Context(), full, "set", set("test/c"))); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows are there", n)
	}
}

// After a crash of the server ids of transactions are given again that did not
// reach its log: what became of a commit is not asked by them. Here one is lost
// with the server's memory, others commit first after the restart, and it is
// run again.
func TestCommitLostInACrash(t *testing.T) {
	server := durableServer(t)
	var crash atomic.Bool
	// The server runs again and others committed; the verb may be done before.
	crashed := make(chan struct{}, 1)
	db := through(t, server.Dir(), "ospd", nil, func() pgtest.Fate {
		if crash.CompareAndSwap(true, false) {
			defer func() { crashed <- struct{}{} }()
			server.Crash()
			if err := errors.Join(server.Run(t.Context()), others(t.Context(), server)); err != nil {
				t.Error(err)
			}
			return pgtest.LostBefore
		}
		return pgtest.Passed
	})
	for i := range 3 {
		crash.Store(true)
		if err := db.update(t.Context(), full, "set", set(fmt.Sprint("test/", i))); err != nil {
			t.Errorf("got %v", err)
		}
		<-crashed
		if n := count(t, db); n != i+1 {
			t.Errorf("%d rows are there, want %d", n, i+1)
		}
	}
}

// others commits a few transactions of another process.
func others(ctx context.Context, server *pgtest.Server) error {
	db, err := Open(ctx, Config{URL: server.URL("ospd"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for range 5 {
		err = errors.Join(err, db.KeepClock(ctx, time.Now()))
	}
	return errors.Join(err, db.Close())
}
