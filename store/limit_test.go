package store_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// TestNoPlaceIsBusy: slow clients that hold all places do not keep the others
// waiting without an answer.
func TestNoPlaceIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.New("far", mem.New(), store.Options{MaxInFlight: 1})
		slow, client := io.Pipe()
		ended := make(chan error)
		go func() { ended <- s.Put(t.Context(), store.NewKey("00000001"), slow, 3) }()
		synctest.Wait()
		start := time.Now()
		err := s.Put(t.Context(), store.NewKey("00000001"), strings.NewReader("abc"), 3)
		var busy *store.BusyError
		if !errors.As(err, &busy) || busy.After <= 0 || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// What composes needs no place of those, and is refused for its pieces.
		c, _ := s.Composer()
		key := store.NewKey("00000001")
		id, err := c.BeginCompose(t.Context(), key)
		if err != nil {
			t.Error(err)
		}
		if _, err := c.Compose(t.Context(), key, id, nil); !errors.Is(err, store.ErrPieces) {
			t.Errorf("compose: %v", err)
		}
		_, err = client.Write([]byte("abc"))
		if err = errors.Join(err, client.Close(), <-ended); err != nil {
			t.Error(err)
		}
		if err := s.Put(t.Context(), store.NewKey("00000001"), strings.NewReader("abc"), 3); err != nil {
			t.Errorf("a place is free: %v", err)
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
