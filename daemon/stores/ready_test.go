package stores_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// failing is a store that fails as it is told to, and counts how often it is
// asked.
type failing struct {
	*mem.Backend
	mu    sync.Mutex
	fails error
	asked int
}

func (f *failing) Check(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.fails
}

func TestUnreadySaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"sound":         {nil, ""},
		"keys":          {store.ErrDenied, "check the keys"},
		"bucket":        {store.ErrNoBucket, "check its bucket"},
		"region":        {store.ErrRegion, "check its region"},
		"clock":         {store.ErrClock, "set this machine's"},
		"missing deeds": {store.ErrUnsupported, "does not do what is needed"},
		"foreign":       {store.ErrForeign, "another installation"},
		"no mark":       {store.ErrUnmarked, "lost its mark"},
		"else":          {errors.New("dial"), "the log says why"},
	} {
		f := &failing{Backend: mem.New(), fails: c.err}
		if c.err != nil {
			f.fails = fmt.Errorf("GET http://user:secret@10.0.0.1/bucket: %w", c.err)
		}
		got := service(t, &records{now: time.Unix(1e9, 0)}, map[string]store.Backend{"x": f, "y": mem.New()}).Unready(t.Context())
		if c.err == nil {
			if len(got) != 0 {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], "store x is not usable: ") || !strings.Contains(got[0], c.says) || strings.Contains(got[0], "10.0.0.1") {
			t.Errorf("%s: %q, want one with %q", name, got, c.says)
		}
	}
}

// However often and by how many it is asked, the storage is asked every few
// seconds.
func TestUnreadyDoesNotHammer(t *testing.T) {
	r := &records{now: time.Unix(1e9, 0)}
	f := &failing{Backend: mem.New()}
	s := service(t, r, map[string]store.Backend{"x": f})
	for i, step := range []struct {
		later time.Duration
		fails error
		asked int
		wrong int
	}{
		{0, nil, 1, 0},
		{4 * time.Second, store.ErrDenied, 1, 0},
		{time.Second, store.ErrDenied, 2, 1},
		{4 * time.Second, nil, 2, 1},
		{-time.Hour, nil, 3, 0}, // a clock that went back is not trusted
	} {
		r.now, f.fails = r.now.Add(step.later), step.fails
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := s.Unready(t.Context()); len(got) != step.wrong {
					t.Errorf("step %d: %q", i, got)
				}
			})
		}
		wg.Wait()
		if f.asked != step.asked {
			t.Errorf("step %d: asked %d times, want %d", i, f.asked, step.asked)
		}
	}
}

// A store that never answers is waited for for some seconds, also where whoever
// asked is gone by then.
func TestUnreadyDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service(t, &records{now: time.Unix(1e9, 0)}, map[string]store.Backend{"x": silent{mem.New()}})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{gone, t.Context()} {
			began := time.Now()
			got := s.Unready(ctx)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
			if ctx != gone && !slices.ContainsFunc(got, func(w string) bool { return strings.Contains(w, "does not answer") }) {
				t.Errorf("it says %q", got)
			}
		}
	})
}
