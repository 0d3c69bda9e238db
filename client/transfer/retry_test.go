package transfer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// What is repeated is what the table of kinds calls retryable, and nothing
// that has no kind.
func TestRetryClassification(t *testing.T) {
	for _, row := range protocol.Kinds() {
		r := newRig(t)
		r.cfg.Retries = 3
		var n tries
		calls := 0
		err := r.retry(t.Context(), &n, func(context.Context) error { calls++; return protocol.Errorf(row.Kind, "x") })
		want := 1
		if row.Retryable {
			want = 4
		}
		if calls != want || n.count() != want-1 || protocol.KindOf(err) != row.Kind {
			t.Errorf("%s: %d calls, %d retries, %v", row.Kind, calls, n.count(), err)
		}
	}
	r := newRig(t)
	calls := 0
	plain := errors.New("plain")
	if err := r.retry(t.Context(), new(tries), func(context.Context) error { calls++; return plain }); err != plain || calls != 1 {
		t.Error(calls, err)
	}
}

// TestWhatIsSaidOfRetries: how often a request is repeated from then on.
func TestWhatIsSaidOfRetries(t *testing.T) {
	for retries, want := range map[int][]string{
		2: {"it is tried once more"},
		4: {"it is tried again, up to 3 times more"}, // and no more for 10 s
		1: nil,
	} {
		r := newRig(t)
		r.cfg.Retries = retries
		var said []string
		r.cfg.Warn = func(text string) { said = append(said, text) }
		_ = r.retry(t.Context(), new(tries), func(context.Context) error { return protocol.Errorf(protocol.KindUnavailable, "x") })
		if len(said) != len(want) || len(said) > 0 && !strings.HasSuffix(said[0], "; "+want[0]) {
			t.Errorf("with %d retries is said %q, want %q", retries, said, want)
		}
	}
}

func TestRetryWaits(t *testing.T) {
	r := newRig(t)
	fail := protocol.Errorf(protocol.KindUnavailable, "x")
	r.retry(t.Context(), new(tries), func(context.Context) error { return fail })
	if len(r.pauses) != DefaultRetries {
		t.Fatalf("%v", r.pauses)
	}
	for i, d := range r.pauses {
		mean := min(200*time.Millisecond<<i, 15*time.Second)
		if d < mean/2 || d > mean*3/2 {
			t.Errorf("pause %d is %s, want about %s", i, d, mean)
		}
	}
	r.pauses = nil
	fail.RetryAfter = time.Minute
	r.cfg.RetryMaxElapsed = 2 * time.Minute
	r.retry(t.Context(), new(tries), func(context.Context) error { return fail })
	for _, d := range r.pauses {
		if d != time.Minute {
			t.Errorf("waited %s", d)
		}
	}
	r.pauses = nil
	r.cfg.RetryMaxElapsed = time.Second
	r.retry(t.Context(), new(tries), func(context.Context) error { return fail })
	if len(r.pauses) != 0 {
		t.Errorf("waited %v though it would take too long", r.pauses)
	}
}

// A request that was on its way for an hour before it failed is tried again all
// the same; one that keeps failing is not tried for longer than was asked for.
func TestRetryCountsFromTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Config{Retries: 1000, RetryMaxElapsed: time.Minute})
		calls := 0
		begun := time.Now()
		err := e.retry(t.Context(), new(tries), func(context.Context) error {
			if calls++; calls == 1 {
				time.Sleep(time.Hour)
			}
			return protocol.Errorf(protocol.KindNetwork, "x")
		})
		wantKind(t, err, protocol.KindNetwork)
		if took := time.Since(begun); calls < 3 || took > time.Hour+time.Minute {
			t.Errorf("%d calls in %s", calls, took)
		}
	})
}

func TestRetryHoldsAConnectionOnlyWhileItIsUsed(t *testing.T) {
	r := newRig(t)
	e := New(Config{Client: r.cfg.Client, Connections: 1, Retries: 1})
	e.pause = func(ctx context.Context, _ time.Duration) error {
		return e.slot(ctx, func(context.Context) error { return nil }) // free while another waits
	}
	err := e.retry(t.Context(), new(tries), func(context.Context) error { return protocol.Errorf(protocol.KindNetwork, "x") })
	wantKind(t, err, protocol.KindNetwork)
}

func TestPauseEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pause(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := pause(t.Context(), 0); err != nil {
		t.Error(err)
	}
}

func TestLocalErrorKinds(t *testing.T) {
	for kind, err := range map[protocol.Kind]error{
		protocol.KindLocalFull:    &os.PathError{Op: "write", Err: syscall.ENOSPC},
		protocol.KindLocalMissing: fs.ErrNotExist,
		protocol.KindLocalIO:      fs.ErrPermission,
	} {
		if got := localError("x", err); protocol.KindOf(got) != kind || !errors.Is(got, err) {
			t.Errorf("%v is %v", err, got)
		}
	}
}

func TestEndedKeepsItsCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(protocol.Errorf(protocol.KindTerminated, "SIGTERM"))
	if e := ended(ctx); e.Kind != protocol.KindTerminated || !errors.Is(e, context.Canceled) || !errors.Is(e, context.Cause(ctx)) {
		t.Errorf("%#v", e)
	}
	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	<-late.Done()
	if e := ended(late); e.Kind != protocol.KindTimeout || !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("%#v", e)
	}
}

// TestRetryTellsWhy: whoever waits is told for what, once in a while and not
// for a single stumble.
func TestRetryTellsWhy(t *testing.T) {
	r := newRig(t)
	var told []string
	r.cfg.Warn = func(msg string) { told = append(told, msg) }
	fail := protocol.Errorf(protocol.KindUnavailable, "the daemon is away")
	stumbled := false
	r.retry(t.Context(), new(tries), func(context.Context) error {
		if stumbled {
			return nil
		}
		stumbled = true
		return fail
	})
	if len(told) != 0 {
		t.Errorf("told of one stumble: %q", told)
	}
	for range 2 {
		r.retry(t.Context(), new(tries), func(context.Context) error { return fail })
	}
	if len(told) != 1 || !strings.Contains(told[0], "the daemon is away") {
		t.Errorf("told %q, want it once", told)
	}
}
