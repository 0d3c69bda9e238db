package store_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// crowded counts the calls that run, each until it is let go.
type crowded struct {
	*mem.Backend
	running atomic.Int64
	release chan struct{}
}

func (c *crowded) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	c.running.Add(1)
	defer c.running.Add(-1)
	<-c.release
	return c.Backend.Stat(ctx, key)
}

func TestCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &crowded{Backend: mem.New(), release: make(chan struct{})}
		s := store.New("far", b, store.Options{MaxInFlight: 3})
		key := store.NewKey("00000001")
		if err := s.Put(t.Context(), key, strings.NewReader("abc"), 3); err != nil {
			t.Fatal(err)
		}
		results := make(chan error)
		for range 10 {
			go func() {
				_, err := s.Stat(t.Context(), key)
				results <- err
			}()
		}
		synctest.Wait()
		if n := b.running.Load(); n != 3 {
			t.Errorf("%d calls run at once, want 3", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Delete(ctx, key) }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a call that waited: %v", err)
		}
		// What writes waits for others that write alone.
		if err := s.Put(t.Context(), store.NewKey("00000001"), strings.NewReader("abc"), 3); err != nil {
			t.Error(err)
		}
		close(b.release)
		for range 10 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestBodiesHoldNoPlace: a put that reads from a body of the same store would
// wait for itself.
func TestBodiesHoldNoPlace(t *testing.T) {
	s := store.New("far", mem.New(), store.Options{MaxInFlight: 1})
	key := store.NewKey("00000001")
	if err := s.Put(t.Context(), key, strings.NewReader("abc"), 3); err != nil {
		t.Fatal(err)
	}
	var bodies []io.ReadCloser
	for range 3 {
		rc, err := s.Get(t.Context(), key, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, rc)
	}
	for _, rc := range bodies {
		to := store.NewKey("00000001")
		if err := errors.Join(s.Put(t.Context(), to, rc, 3), rc.Close()); err != nil {
			t.Error(err)
		}
		wantRead(t, s, to, 0, -1, "abc", nil)
	}
}
