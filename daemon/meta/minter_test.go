package meta_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/protocol"
)

// marks is a database that keeps high-water marks only.
type marks struct {
	mu    sync.Mutex
	mark  map[int]int64
	calls int
	// hold, if set, is received from before a reservation happens, and entered
	// sent to before that.
	hold    chan error
	entered chan struct{}
}

func (m *marks) ReserveUIDs(_ context.Context, worker int, through int64) (int64, error) {
	m.mu.Lock()
	hold, entered := m.hold, m.entered
	m.mu.Unlock()
	if hold != nil {
		entered <- struct{}{}
		if err := <-hold; err != nil {
			return 0, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mark == nil {
		m.mark = map[int]int64{}
	}
	previous := m.mark[worker]
	m.mark[worker] = max(previous, through)
	m.calls++
	return previous, nil
}

func (m *marks) reserved(worker int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mark[worker]
}

func (m *marks) holdAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold, m.entered = make(chan error), make(chan struct{})
}

func newMinter(t *testing.T, db *marks, worker int, clock func() time.Time) *meta.Minter {
	t.Helper()
	m, err := meta.NewMinter(db, worker, clock)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A million uids, with a clock that stands, jumps by years in both directions
// and lies before the epoch, and a restart now and then: each is greater than
// the one before, and none lies above the mark.
func TestUIDsRiseWhateverTheClockDoes(t *testing.T) {
	const seed, count = 7, 1_000_000
	random := rand.New(rand.NewPCG(seed, seed))
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	now := start
	clock := func() time.Time {
		switch random.IntN(2000) {
		case 0:
			now = now.Add(time.Duration(random.Int64N(int64(48*time.Hour))) - 24*time.Hour)
		case 1:
			now = start.AddDate(-5, 0, 0)
		case 2:
			if random.IntN(100) == 0 {
				now = now.AddDate(1, 0, 0)
			}
		case 3, 4, 5, 6, 7, 8:
			now = now.Add(time.Duration(random.Int64N(int64(time.Second))))
		}
		return now
	}
	db := &marks{}
	m := newMinter(t, db, 3, clock)
	var last protocol.UID
	for i := range count {
		if random.IntN(5000) == 0 {
			m = newMinter(t, db, 3, clock)
		}
		uid, err := m.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if uid <= last {
			t.Fatalf("seed %d: uid %d after %d is not greater than %d", seed, uid, i, last)
		}
		if worker := uid >> 12 & 1023; worker != 3 {
			t.Fatalf("uid %d is worker %d's", uid, worker)
		}
		if milli := int64(uid >> 22); milli > db.mark[3] {
			t.Fatalf("uid %d lies above the mark %d", uid, db.mark[3])
		}
		last = uid
	}
}

// While the clock stands, 4,096 uids fill a millisecond and the next is taken.
func TestAFullMillisecondRollsOver(t *testing.T) {
	now := protocol.Epoch.Add(time.Hour)
	m := newMinter(t, &marks{}, 0, func() time.Time { return now })
	for i := range 3*4096 + 1 {
		uid, err := m.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := time.Hour.Milliseconds() + int64(i/4096)
		if got := int64(uid >> 22); got != want || int(uid&4095) != i%4096 {
			t.Fatalf("uid number %d is %d.%d, want %d.%d", i, got, uid&4095, want, i%4096)
		}
	}
}

func TestARestartBeginsAboveTheMark(t *testing.T) {
	now := protocol.Epoch.Add(time.Hour)
	db := &marks{}
	if _, err := newMinter(t, db, 0, func() time.Time { return now }).Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark := db.reserved(0)
	now = protocol.Epoch.Add(-time.Hour)
	uid, err := newMinter(t, db, 0, func() time.Time { return now }).Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(uid >> 22); got != mark+1 {
		t.Errorf("the next run begins at %d, the mark was %d", got, mark)
	}
}

// A reservation ahead of time holds the one caller that makes it, nobody else.
func TestReservationHoldsOneCaller(t *testing.T) {
	var mu sync.Mutex
	now := protocol.Epoch.Add(time.Hour)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	db := &marks{}
	m := newMinter(t, db, 0, clock)
	if _, err := m.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	now = now.Add(45 * time.Second)
	mu.Unlock()
	db.holdAll()
	held := make(chan error)
	go func() { _, err := m.Next(t.Context()); held <- err }()
	<-db.entered
	if _, err := m.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.hold <- errors.New("disk on fire")
	if err := <-held; err != nil {
		t.Errorf("a uid below the mark needs no database: %v", err)
	}
}

func TestWithoutReservationNoUID(t *testing.T) {
	now := protocol.Epoch.Add(time.Hour)
	db := &marks{}
	db.holdAll()
	m := newMinter(t, db, 0, func() time.Time { return now })
	fire := errors.New("disk on fire")
	first := make(chan error)
	next := func() { _, err := m.Next(t.Context()); first <- err }
	go next()
	<-db.entered
	// A second caller waits for the first one's reservation, as long as it
	// wants to.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if uid, err := m.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %d, %v", uid, err)
	}
	db.hold <- fire
	if err := <-first; !errors.Is(err, fire) {
		t.Errorf("got %v", err)
	}
	go next()
	<-db.entered
	db.hold <- nil
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestUIDsEndWithAnError(t *testing.T) {
	now := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	db := &marks{}
	m := newMinter(t, db, 0, func() time.Time { return now })
	uid, err := m.Next(t.Context())
	if err != nil || int64(uid) <= 0 {
		t.Fatalf("got %d, %v", int64(uid), err)
	}
	again := newMinter(t, db, 0, func() time.Time { return now })
	if uid, err := again.Next(t.Context()); protocol.KindOf(err) != protocol.KindInternal {
		t.Errorf("got %d, %v", int64(uid), err)
	}
	for _, worker := range []int{-1, 1024} {
		if _, err := meta.NewMinter(db, worker, time.Now); err == nil {
			t.Errorf("worker %d is taken", worker)
		}
	}
}

// Many callers on a real database, over a restart.
func TestUIDsOfManyCallers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	var mu sync.Mutex
	seen := map[protocol.UID]bool{}
	for range 2 {
		db := metatest.OpenDB(t, meta.Config{Path: path})
		m, err := meta.NewMinter(db, 0, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 1000 {
					uid, err := m.Next(t.Context())
					mu.Lock()
					if err != nil || seen[uid] {
						t.Errorf("uid %d: seen %v, %v", uid, seen[uid], err)
					}
					seen[uid] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
