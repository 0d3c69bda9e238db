package stores_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/stores"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// records count what they are asked.
type records struct {
	mu sync.Mutex
	// Guarded by mu, where several stores are counted at once.
	counted int
	fail    error
	// took moves the clock.
	took time.Duration
	now  time.Time
}

func (r *records) ClosedStores(context.Context) (map[string]string, error) {
	return map[string]string{"b": "a"}, nil
}

func (r *records) CountStore(_ context.Context, name string) (meta.StoreCount, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted++
	r.now = r.now.Add(r.took)
	return meta.StoreCount{Blobs: int64(r.counted), Bytes: 10}, r.fail
}

// silent is a store that answers when it is no longer waited for.
type silent struct{ *mem.Backend }

func (silent) Check(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// denied refuses, and says so at length.
type denied struct{ *mem.Backend }

func (denied) Check(context.Context) error {
	return errors.Join(store.ErrDenied, errors.New(strings.Repeat("ä", 1000)))
}

func service(t *testing.T, r *records, all map[string]store.Backend) *stores.Service {
	cfg := stores.Config{
		Meta: r, Stores: map[string]*store.Store{}, Types: map[string]string{"a": "local", "b": "s3"}, Default: "b", Installation: "me",
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.now
		}, Logger: slog.New(slog.DiscardHandler),
	}
	for name, b := range all {
		if err := b.SetMark(t.Context(), "me"); err != nil {
			t.Fatal(err)
		}
		cfg.Stores[name] = store.New(name, b, store.Options{})
	}
	return stores.New(cfg)
}

func list(t *testing.T, s *stores.Service) []protocol.Store {
	t.Helper()
	l, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l.Stores
}

func TestList(t *testing.T) {
	r := &records{now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)}
	l := list(t, service(t, r, map[string]store.Backend{"a": mem.New(), "b": mem.New()}))
	if len(l) != 2 || l[0].Name != "a" || l[0].Type != "local" || l[0].Default || l[0].ClosedTo != nil || !l[0].Reachable || l[0].Error != nil {
		t.Errorf("%+v", l)
	}
	if b := l[1]; b.Name != "b" || b.Type != "s3" || !b.Default || b.ClosedTo == nil || *b.ClosedTo != "a" || b.Blobs == nil || *b.Bytes != 10 {
		t.Errorf("%+v", b)
	}
}

func TestUnreachable(t *testing.T) {
	r := &records{now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)}
	unmarked := mem.New()
	s := service(t, r, map[string]store.Backend{"denied": denied{mem.New()}, "silent": silent{mem.New()}, "sound": mem.New()})
	l := list(t, s)
	if l[0].Reachable || !strings.Contains(*l[0].Error, "access denied") || len(*l[0].Error) > 500 {
		t.Errorf("%+v", l[0])
	}
	if l[1].Reachable || l[1].Error == nil || l[1].Blobs == nil {
		t.Errorf("%+v", l[1])
	}
	if !l[2].Reachable {
		t.Errorf("%+v", l[2])
	}
	if err := stores.Reach(t.Context(), store.New("x", unmarked, store.Options{}), "me"); !errors.Is(err, store.ErrUnmarked) {
		t.Errorf("a store that lost its mark: %v", err)
	}
}

func TestCountsAreGoodForLongerThanTheyTook(t *testing.T) {
	r := &records{took: time.Second, now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)}
	s := service(t, r, map[string]store.Backend{"a": mem.New()})
	for i, step := range []struct {
		later time.Duration
		want  int64
	}{{0, 1}, {20 * time.Second, 1}, {time.Second, 2}, {-time.Hour, 3}} {
		r.now = r.now.Add(step.later)
		if got := *list(t, s)[0].Blobs; got != step.want {
			t.Errorf("%d: counted %d times, not %d", i, got, step.want)
		}
	}
	r.now, r.fail = r.now.Add(time.Hour), errors.New("no")
	if got := list(t, s)[0]; *got.Blobs != 3 || !got.CountedAt.Before(r.now.Add(-time.Minute)) {
		t.Errorf("after a count that failed: %+v", got)
	}
	fresh := service(t, r, map[string]store.Backend{"a": mem.New()})
	if got := list(t, fresh)[0]; got.Blobs != nil || got.Bytes != nil || got.CountedAt != nil {
		t.Errorf("never counted: %+v", got)
	}
}
