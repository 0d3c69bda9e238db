package upload

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestFailuresAtOnce: guesses in parallel do not get over the limit, and honest
// claims in parallel are not refused.
func TestFailuresAtOnce(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f := newFailures(10, func() time.Time { return now }, refusal{})
	count := func(subject string, n int, wrong bool) (admitted int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				a, err := f.begin(t.Context(), subject)
				if err != nil {
					if protocol.KindOf(err) != protocol.KindRateLimited {
						t.Errorf("error is %v", err)
					}
					return
				}
				if wrong {
					a.fail()
				}
				a.end()
				mu.Lock()
				defer mu.Unlock()
				admitted++
			})
		}
		wg.Wait()
		return admitted
	}
	if n := count("guesser", 200, true); n != 10 {
		t.Errorf("%d guesses were looked at", n)
	}
	if n := count("holder", 200, false); n != 200 {
		t.Errorf("%d of 200 honest claims were looked at", n)
	}
	if len(f.subjects) != 1 {
		t.Errorf("%d subjects are remembered, want the guesser", len(f.subjects))
	}
	now = now.Add(failureWindow)
	if err := f.check(t.Context(), "guesser"); err != nil || len(f.subjects) != 0 {
		t.Errorf("an hour later: %v, %d subjects", err, len(f.subjects))
	}
}

// TestFailuresForget: subjects of whom nobody asks again are forgotten, too, and
// none before its time.
func TestFailuresForget(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f := newFailures(1, func() time.Time { return now }, refusal{})
	running, err := f.begin(t.Context(), "runs")
	if err != nil {
		t.Fatal(err)
	}
	const inAnHour = 600
	for i := range 20 * inAnHour {
		now = now.Add(failureWindow / inAnHour)
		if subject := strconv.Itoa(i); i%2 == 0 {
			f.add(t.Context(), subject)
		} else {
			a, err := f.begin(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			a.fail()
			a.end()
		}
		if n := len(f.subjects); n > 3*inAnHour {
			t.Fatalf("%d subjects are remembered, of %d in an hour", n, inAnHour)
		}
	}
	for i := 19*inAnHour + 1; i < 20*inAnHour; i++ {
		if protocol.KindOf(f.check(t.Context(), strconv.Itoa(i))) != protocol.KindRateLimited {
			t.Fatalf("subject %d is forgotten", i)
		}
	}
	running.fail()
	running.end()
	if protocol.KindOf(f.check(t.Context(), "runs")) != protocol.KindRateLimited {
		t.Error("an attempt that ran meanwhile is forgotten")
	}
}

func TestFailuresWhenTheClockGoesBack(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f := newFailures(1, func() time.Time { return now }, refusal{})
	a, err := f.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	a.fail()
	a.end()
	if protocol.KindOf(f.check(t.Context(), "s")) != protocol.KindRateLimited {
		t.Error("over the limit and not refused")
	}
	now = now.Add(-10 * 365 * 24 * time.Hour)
	if err := f.check(t.Context(), "s"); err != nil {
		t.Errorf("a clock set back makes it last: %v", err)
	}
}

func TestFailuresWaitNoLongerThanTheCaller(t *testing.T) {
	f := newFailures(1, time.Now, refusal{})
	a, err := f.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.begin(ctx, "s"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	a.end()
	b, err := f.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	b.end()
}
