package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/storetest"
)

// over puts a backend between the read side and the bytes.
func (b *bench) over(backend store.Backend) {
	b.svc.cfg.Stores = map[string]*store.Store{"disk": store.New("disk", backend, store.Options{})}
}

// gets is a backend that notes what is got and has it wait where it is held.
type gets struct {
	store.Backend
	mu      sync.Mutex
	cond    *sync.Cond
	lengths []int64
	held    bool
}

func newGets(b store.Backend) *gets {
	g := &gets{Backend: b}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *gets) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	g.mu.Lock()
	g.lengths = append(g.lengths, n)
	g.cond.Broadcast()
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cond.Broadcast()
	})
	for g.held && ctx.Err() == nil {
		g.cond.Wait()
	}
	stop()
	g.mu.Unlock()
	return g.Backend.Get(ctx, key, off, n)
}

func (g *gets) hold(held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = held
	g.cond.Broadcast()
}

// began waits until n were asked for.
func (g *gets) began(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.lengths) < n {
		g.cond.Wait()
	}
}

// taken are the lengths asked for since the last time.
func (g *gets) taken() []int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lengths
	g.lengths = nil
	return l
}

// serve reads a range as an answer does: a look at its beginning, then all.
func (b *bench) serve(uid protocol.UID, off, n int64) ([]byte, error) {
	c, err := b.svc.Open(context.Background(), owner, uid)
	if err != nil {
		return nil, err
	}
	var got bytes.Buffer
	err = c.Check(context.Background(), off, n)
	if err == nil {
		err = c.WriteRange(context.Background(), &got, off, n)
	}
	return got.Bytes(), errors.Join(err, c.Close())
}

func TestWhatIsAskedOfAnObjectStore(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	g := newGets(b.backend)
	b.over(g)
	data := noise(3*bs + 1000)
	uid, small := b.put(data, bs+bs/2), b.put(data[:smallMax])
	for name, c := range map[string]struct {
		uid        protocol.UID
		off, n     int64
		first, hot []int64
	}{
		"all":                   {uid, 0, 3*bs + 1000, []int64{bs, bs / 2, bs / 2, bs, 1000}, []int64{bs, bs / 2, bs / 2, bs, 1000}},
		"a range of a block":    {uid, bs + 10, 100, []int64{bs / 2, bs / 2}, []int64{100}},
		"a range across blocks": {uid, 2*bs - 5, 10, []int64{bs / 2, bs / 2, bs}, []int64{5, 5}},
		"a small content":       {small, 0, smallMax, []int64{smallMax}, nil},
		"a part of one":         {small, 7, 7, []int64{smallMax}, nil},
	} {
		b.svc.seen = newSeen(b.clock.Now)
		for i, want := range [][]int64{c.first, c.hot} {
			got, err := b.serve(c.uid, c.off, c.n)
			if err != nil || !bytes.Equal(got, data[c.off:c.off+c.n]) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			asked := g.taken()
			slices.Sort(asked)
			slices.Sort(want)
			if !slices.Equal(asked, want) {
				t.Errorf("%s, time %d: asked for %v, want %v", name, i+1, asked, want)
			}
		}
	}
}

// moving moves all bytes elsewhere before the first write and before one in each
// half of a block, and deletes them where they were.
type moving struct {
	bytes.Buffer
	move  func()
	since int
}

func (m *moving) Write(p []byte) (int, error) {
	if m.Len() == 0 || m.since >= bs/2 {
		m.move()
		m.since = 0
	}
	m.since += len(p)
	return m.Buffer.Write(p)
}

func TestReadingAheadFollowsWhatMoves(t *testing.T) {
	data := noise(7*bs + 5)
	for _, mode := range []VerifyMode{VerifyFirst, VerifyAlways, VerifyOff} {
		b := newBench(t, "mem", mode)
		lies := b.put(data, bs/2, bs, 3*bs)
		c, err := b.svc.Open(t.Context(), owner, lies)
		must(t, err)
		moves := 0
		out := &moving{move: func() {
			moves++
			now := b.put(data, moves*12_345, bs, bs+1)
			for i := range b.extents[lies] {
				b.change(lies, i, func([]byte) []byte { return nil })
			}
			lies = now
		}}
		must(t, c.Check(t.Context(), 1, int64(len(data))-1))
		must(t, c.WriteRange(t.Context(), out, 1, int64(len(data))-1))
		must(t, c.Close())
		if !bytes.Equal(out.Bytes(), data[1:]) || moves < 8 {
			t.Errorf("%s: wrong bytes after %d moves", mode, moves)
		}
		if len(b.corruptions()) != 0 {
			t.Errorf("%s: told of %v", mode, b.corruptions())
		}
	}
}

// room reports whether all that may be read ahead is free.
func (b *bench) room(n int64) bool {
	ok := b.svc.budget.free.TryAcquire(n)
	if ok {
		b.svc.budget.free.Release(n)
	}
	return ok
}

func TestReadingAheadIsBounded(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	b.svc = New(Config{Meta: b.db, Verify: VerifyFirst, Clock: b.clock.Now, ReadAhead: 2 * bs, Stores: b.svc.cfg.Stores, Logger: b.svc.cfg.Logger})
	g := newGets(b.backend)
	b.over(g)
	data := noise(6 * bs)
	uid := b.put(data)
	g.hold(true)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			got, err := b.serve(uid, 0, 6*bs)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	g.began(3) // at most two that there is room for, and a request that got none
	if b.room(1) {
		t.Error("there is room left for what is to wait")
	}
	g.hold(false)
	wg.Wait()
	if !b.room(2 * bs) {
		t.Error("room was not given back")
	}
	for _, n := range g.taken() {
		if n != bs {
			t.Errorf("%d bytes were asked for at once", n)
		}
	}
}

func TestReadingAheadEndsWithItsReader(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	g := newGets(b.backend)
	b.over(g)
	uid := b.put(noise(6 * bs))
	open := func() *Content {
		c, err := b.svc.Open(t.Context(), owner, uid)
		must(t, err)
		return c
	}
	// The reader goes away.
	c := open()
	gone := errors.New("gone")
	if err := c.WriteRange(t.Context(), brokenWriter{gone}, 0, 6*bs); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	must(t, c.Close())
	// Its context ends while it waits.
	g.taken()
	g.hold(true)
	c = open()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.WriteRange(ctx, io.Discard, 0, 6*bs) }()
	g.began(aheadBlocks)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	must(t, c.Close())
	// It is closed after no more than a look.
	g.hold(false)
	c = open()
	must(t, c.Check(t.Context(), 0, 6*bs))
	must(t, c.Close())
	// It reads elsewhere than it looked.
	c = open()
	must(t, c.Check(t.Context(), 0, 6*bs))
	must(t, c.WriteRange(t.Context(), io.Discard, 3*bs, 5))
	must(t, c.WriteRange(t.Context(), io.Discard, 0, 5))
	must(t, c.Close())
	if !b.room(aheadBudget) {
		t.Error("room was not given back")
	}
}

func TestFaultsOfAnObjectStoreWhileReading(t *testing.T) {
	failed := errors.New("the storage failed")
	faults := map[string]storetest.Fault{
		"fails":       {Before: failed},
		"breaks off":  {Truncate: 100_000},
		"gives wrong": {Flip: bs / 2},
		"loses":       {After: failed},
		"gives up":    {Before: context.DeadlineExceeded},
	}
	data := noise(2*bs + bs/2)
	for _, kind := range []string{"mem", "streamed"} {
		for name, fault := range faults {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel() // most of it is pauses before the next try
				for at := range 2 {
					faultOnce(t, kind, data, fault, at)
				}
				if fault.Flip == 0 { // for good, that is damage
					faultForGood(t, kind, data, fault)
				}
			})
		}
	}
}

func faultOnce(t *testing.T, kind string, data []byte, fault storetest.Fault, at int) {
	t.Helper()
	b := newBench(t, kind, VerifyFirst)
	f := storetest.NewFaulty(b.backend)
	b.over(f)
	uid := b.put(data, bs)
	f.Queue(storetest.OpGet, append(make([]storetest.Fault, at), fault)...)
	got, err := b.serve(uid, 0, int64(len(data)))
	if kind == "streamed" && fault.Flip > 0 && at > 0 {
		// Part of the block has left: the answer is cut, and what is
		// sound in the store is not taken for damaged.
		wantKind(t, err, protocol.KindStoreUnavailable)
	} else if err != nil || !bytes.Equal(got, data) {
		t.Errorf("once: %d bytes, %v", len(got), err)
	}
	if mc := b.contentOf(uid); mc.State != meta.ContentLive || len(b.corruptions()) != 0 {
		t.Errorf("once: the content is %s", mc.State)
	}
}

func faultForGood(t *testing.T, kind string, data []byte, fault storetest.Fault) {
	t.Helper()
	b := newBench(t, kind, VerifyFirst)
	f := storetest.NewFaulty(b.backend)
	b.over(f)
	uid := b.put(data, bs)
	f.Queue(storetest.OpGet, append(make([]storetest.Fault, 1), slices.Repeat([]storetest.Fault{fault}, 1000)...)...)
	got, err := b.serve(uid, 0, int64(len(data)))
	wantKind(t, err, protocol.KindStoreUnavailable)
	if len(got) >= len(data) || !bytes.HasPrefix(data, got) {
		t.Errorf("for good: %d bytes left", len(got))
	}
	if mc := b.contentOf(uid); mc.State != meta.ContentLive {
		t.Errorf("for good: the content is %s", mc.State)
	}
}

// A storage that asks for patience is passed on.
func TestBusyStoreSaysHowLong(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	f := storetest.NewFaulty(b.backend)
	b.impatient(f)
	uid := b.put(noise(bs))
	f.Queue(storetest.OpGet, slices.Repeat([]storetest.Fault{{Before: &store.BusyError{After: 9e9, Err: io.ErrNoProgress}}}, 1000)...)
	_, err := b.serve(uid, 0, bs)
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || e.Kind != protocol.KindStoreUnavailable || e.RetryAfter != 9e9 {
		t.Errorf("error %v", err)
	}
}
