//go:build unix

package job

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// started is a child under way.
type started struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	says *bufio.Reader
}

func (w *world) start(on meta.Config, way string) *started {
	w.Helper()
	exe, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(w.Context(), exe)
	cmd.Env = append(os.Environ(), childPath+"="+on.Path, childURL+"="+on.URL, childWay+"="+way)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	c := &started{w.T, cmd, in, bufio.NewReader(out)}
	w.Cleanup(func() { c.kill() })
	return c
}

// word is the next that it says.
func (c *started) word() string {
	c.t.Helper()
	line, err := c.says.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the other process ended: %v", err)
	}
	return strings.TrimSpace(line)
}

func (c *started) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// kill ends it and waits for that; once it has ended it does nothing.
func (c *started) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// twoProcesses is a database that another process can open too.
func twoProcesses(t *testing.T) (w *world, on meta.Config) {
	on = metatest.Located(t, meta.Config{Path: filepath.Join(t.TempDir(), "meta.db"), Logger: slog.New(slog.DiscardHandler)})
	db, err := meta.Open(t.Context(), on)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{T: t, db: db}, on
}

// finish runs a queue here that does what the other process left.
func (w *world) finish() {
	cfg := one(func(ctx context.Context, r *Run) error { return effect(ctx, w.db, r) })
	cfg.Poll = 5 * time.Millisecond
	w.run(cfg)
}

func (w *world) effects() int {
	w.Helper()
	jobs, err := w.db.Jobs(w.Context(), meta.AnyOwner, meta.JobQuery{Limit: 100, Kind: "effect"})
	if err != nil {
		w.Fatal(err)
	}
	return len(jobs)
}

// TestKilledInAHandler: what a killed process was at is done by another, with
// one effect, wherever it died.
func TestKilledInAHandler(t *testing.T) {
	for _, way := range []string{wayBefore, wayAfter} {
		t.Run(way, func(t *testing.T) {
			w, on := twoProcesses(t)
			id := w.enqueue(meta.NewJob{})
			c := w.start(on, way)
			if got := c.word(); got != way {
				t.Fatalf("it said %q", got)
			}
			c.kill()
			w.finish()
			if j := w.ends(id, protocol.JobDone); j.Attempts != 2 || j.Holder != "one" {
				t.Errorf("%+v", j)
			}
			if n := w.effects(); n != 1 {
				t.Errorf("%d effects", n)
			}
		})
	}
}

// TestStoppedForLongerThanItsLease: a process that stands still for more than
// its lease, and then goes on, cannot write what it was about to.
func TestStoppedForLongerThanItsLease(t *testing.T) {
	w, on := twoProcesses(t)
	id := w.enqueue(meta.NewJob{})
	c := w.start(on, wayLate)
	if got := c.word(); got != "before" {
		t.Fatalf("it said %q", got)
	}
	c.signal(syscall.SIGSTOP)
	// Its lease runs out: another takes the job over, and is not done with it
	// before the first one tried.
	begun, release := make(chan error, 1), make(chan struct{})
	cfg := one(func(ctx context.Context, r *Run) error {
		begun <- nil
		<-release
		return effect(ctx, w.db, r)
	})
	cfg.Poll = 5 * time.Millisecond
	w.run(cfg)
	<-begun
	c.signal(syscall.SIGCONT)
	if _, err := io.WriteString(c.in, "go on\n"); err != nil {
		t.Fatal(err)
	}
	if got := c.word(); got != "lost" {
		t.Errorf("its late write: %q", got)
	}
	if n := w.effects(); n != 0 {
		t.Errorf("%d effects before the job was done", n)
	}
	close(release)
	if j := w.ends(id, protocol.JobDone); j.Attempts != 2 || w.effects() != 1 {
		t.Errorf("%d effects of %+v", w.effects(), j)
	}
}

// TestPoison: a job that ends every process that touches it is dead after its
// attempts, and harms nobody any more.
func TestPoison(t *testing.T) {
	w, on := twoProcesses(t)
	id := w.enqueue(meta.NewJob{MaxAttempts: 3})
	for attempt := 1; attempt <= 3; attempt++ {
		c := w.start(on, wayPoison)
		_ = c.cmd.Wait()
		if j := w.job(id); j.State != protocol.JobRunning || j.Attempts != attempt {
			t.Fatalf("after death %d: %+v", attempt, j)
		}
	}
	w.finish()
	if j := w.ends(id, protocol.JobDead); j.Attempts != 3 || !strings.Contains(j.Error, "in each of 3 attempts") || w.effects() != 0 {
		t.Errorf("%+v", j)
	}
}
