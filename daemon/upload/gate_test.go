package upload_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

// busyTime is how long after its last part an upload is not found by another.
const busyTime = 5 * time.Second

// gate is a local store whose syncs wait, or fail, when they are told to, and
// which knows how much is written and not synced.
type gate struct {
	*local.Backend

	mu       sync.Mutex
	cond     *sync.Cond
	held     bool
	syncing  int
	again    int // syncs of an assembly after one of it failed
	opened   int
	closed   int
	fail     error
	unsynced int64
	most     int64
}

func newGate(t testing.TB) *gate {
	g := &gate{Backend: localOn(t, nil)}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	g.cond.Broadcast()
}

func (g *gate) wait(until func() bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !until() {
		g.cond.Wait()
	}
}

func (g *gate) holdSyncs()    { g.change(func() { g.held = true }) }
func (g *gate) releaseSyncs() { g.change(func() { g.held = false }) }

// failSyncs makes all syncs fail that begin or wait.
func (g *gate) failSyncs(err error) { g.change(func() { g.fail, g.held = err, false }) }

func (g *gate) waitSyncing(n int) { g.wait(func() bool { return g.syncing >= n }) }

// Assemble is store.Assembler's.
func (g *gate) Assemble(ctx context.Context, key store.Key) (store.Assembly, error) {
	a, err := g.Backend.Assemble(ctx, key)
	if err != nil {
		return nil, err
	}
	g.change(func() { g.opened++ })
	return &gated{Assembly: a, gate: g}, nil
}

// allClosed waits until no descriptor is open.
func (g *gate) allClosed() { g.wait(func() bool { return g.opened == g.closed }) }

// gated is an assembly of a gate.
type gated struct {
	store.Assembly
	gate    *gate
	written int64 // guarded by gate.mu: not synced
	lost    error // guarded by gate.mu
}

func (a *gated) WriteAt(p []byte, off int64) (n int, err error) {
	a.gate.change(func() {
		if err = a.lost; err != nil {
			return
		}
		a.written += int64(len(p))
		a.gate.unsynced += int64(len(p))
		a.gate.most = max(a.gate.most, a.gate.unsynced)
	})
	if err != nil {
		return 0, err
	}
	return a.Assembly.WriteAt(p, off)
}

func (a *gated) Sync(ctx context.Context) error {
	g := a.gate
	var covers int64
	g.change(func() {
		covers = a.written
		g.syncing++
		if a.lost != nil {
			g.again++
		}
	})
	g.wait(func() bool { return !g.held })
	err := a.Assembly.Sync(ctx)
	g.change(func() {
		g.syncing--
		if err == nil && a.lost == nil {
			a.lost = g.fail
		}
		if err == nil {
			err = a.lost
		}
		covers = min(covers, a.written)
		a.written -= covers
		g.unsynced -= covers
	})
	return err
}

func (a *gated) Close() error {
	a.gate.change(func() { a.gate.closed++; a.gate.unsynced -= a.written; a.written = 0 })
	return a.Assembly.Close()
}
