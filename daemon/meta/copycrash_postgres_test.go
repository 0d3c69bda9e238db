//go:build postgres

package meta_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/protocol"
)

// copyIn copies in a process of its own, which is to be killed.
func (s *source) copyIn(url string, dieAt int) *exec.Cmd {
	s.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.Fatal(err)
	}
	cmd := exec.CommandContext(s.Context(), exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", childCopy, s.path, url, dieAt))
	return cmd
}

// A copy that is killed is one that nobody opens; the source goes on, and the
// next copy begins anew, there or elsewhere.
func TestCopyIsKilled(t *testing.T) {
	s := newSource(t)
	var last string
	tables := 21
	for _, at := range []int{1, 3, 15, tables, tables + 1, 2 * tables} {
		url := pgtest.Empty(t, fmt.Sprint(t.Name(), at))
		last = url
		out, err := s.copyIn(url, at).CombinedOutput()
		if _, killed := errors.AsType[*exec.ExitError](err); !killed || len(out) > 0 {
			t.Fatalf("killed at %d: %v: %s", at, err, out)
		}
		isRefused(t, url)
		s.isMoved(false)
		lite := s.raw()
		pg := rawPostgres(t, url)
		for table, rows := range dump(t, pg, s.tables(lite)) {
			if len(rows) > 1 || len(rows) == 1 && table != "event_counter" {
				t.Errorf("killed at %d: %d rows of %s are there", at, len(rows), table)
			}
		}
		s.closeRaw(lite)
		s.closeRaw(pg)
	}
	if _, err := s.copy(last, nil); err != nil {
		t.Fatal(err)
	}
	s.same(last)
}

// proxied is the test's database behind a proxy that asks fate of the copy's
// commit, the only one that says COMMIT.
func proxied(t *testing.T, to string, fate func() pgtest.Fate) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pgtest.NewProxy(u.Query().Get("host"), fate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p.URL(path.Base(u.Path), url.Values{"idle_in_transaction_session_timeout": {"5s"}})
}

// killedAtItsCommit copies in a process that is killed when it commits: stopped
// otherwise it would wait for the answer, and ask again.
func (s *source) killedAtItsCommit(t *testing.T, to string, fate pgtest.Fate) {
	t.Helper()
	running := make(chan *os.Process, 1)
	cmd := s.copyIn(proxied(t, to, func() pgtest.Fate {
		p := <-running
		running <- p
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		return fate
	}), -1)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running <- cmd.Process
	if err := cmd.Wait(); err == nil || out.Len() > 0 {
		t.Fatalf("it was not killed: %v: %s", err, &out)
	}
}

// Around its commit two databases both seem to be the one in use, or neither:
// it is neither, and the next run of the same finds out.
func TestCopyIsKilledAtItsCommit(t *testing.T) {
	for name, c := range map[string]struct {
		fate  pgtest.Fate
		again string
	}{
		"before the server has it": {pgtest.LostBefore, ""},
		"once it took place":       {pgtest.LostAfter, "was moved to this database already"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			to := pgtest.Empty(t, t.Name())
			s.killedAtItsCommit(t, to, c.fate)
			s.isMoved(true)
			_, err := s.copy(to, nil)
			if c.again == "" && err != nil || c.again != "" && (err == nil || !strings.Contains(err.Error(), c.again)) {
				t.Errorf("the same again: %v", err)
			}
			s.isMoved(true)
			s.same(to)
			if db, err := meta.Open(t.Context(), meta.Config{URL: to}); err != nil || db.Close() != nil {
				t.Errorf("the copy does not open: %v", err)
			}
		})
	}
}

// The run after one that was killed at its commit may itself not come to its
// end: the next one knows the database all the same.
func TestCopyIsGivenUpAfterAKill(t *testing.T) {
	s := newSource(t)
	to := pgtest.Empty(t, t.Name())
	s.killedAtItsCommit(t, to, pgtest.LostBefore)
	s.behind(`CREATE TRIGGER held BEFORE DELETE ON settings WHEN OLD.name = 'moved' BEGIN SELECT RAISE(ABORT, 'it is held'); END`)
	for range 2 {
		if _, err := s.copy(to, nil); err == nil || !strings.Contains(err.Error(), "it is held") {
			t.Errorf("while its mark stays: %v", err)
		}
		s.isMoved(true)
		isRefused(t, to)
	}
	s.behind(`DROP TRIGGER held`)
	if _, err := s.copy(to, nil); err != nil {
		t.Errorf("the next: %v", err)
	}
	s.isMoved(true)
	s.same(to)
}

// What became of a commit whose answer was lost is asked.
func TestCopyWithALostCommit(t *testing.T) {
	for name, c := range map[string]struct {
		fate  pgtest.Fate
		moved bool
	}{
		"before it reached the server":   {pgtest.LostBefore, false},
		"before its answer came back":    {pgtest.LostAfter, true},
		"the server waits for it, alone": {pgtest.Stuck, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t)
			to := pgtest.Empty(t, t.Name())
			var commits atomic.Int64
			list, err := s.copy(proxied(t, to, func() pgtest.Fate { commits.Add(1); return c.fate }), nil)
			if commits.Load() != 1 || c.moved != (err == nil) || c.moved && len(list) == 0 {
				t.Errorf("%d commits, %d tables, %v", commits.Load(), len(list), err)
			}
			s.isMoved(c.moved)
			if !c.moved {
				isRefused(t, to)
				if _, err := s.copy(to, nil); err != nil {
					t.Errorf("the next: %v", err)
				}
			}
			s.same(to)
		})
	}
}

// Two copies to one database: one of them is refused.
func TestCopiesToOneDatabase(t *testing.T) {
	one, two := newSource(t), newSource(t)
	url := pgtest.Empty(t, t.Name())
	var once sync.Once
	if _, err := one.copy(url, func(meta.CopiedTable, bool) {
		once.Do(func() {
			if _, err := two.copy(url, nil); protocol.KindOf(err) != protocol.KindConflict || !strings.Contains(err.Error(), "under way") {
				t.Errorf("the second: %v", err)
			}
		})
	}); err != nil {
		t.Fatal(err)
	}
	one.same(url)
	two.isMoved(false)
}
