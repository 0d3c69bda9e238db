package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// TestSuiteNotices: for each line of the contract a backend breaks, the case
// of that line fails.
func TestSuiteNotices(t *testing.T) {
	for _, c := range []broken{
		{"", func(b *mem.Backend) store.Backend { return b }},
		{"put of a wrong length", func(b *mem.Backend) store.Backend { return keepsShort{b} }},
		{"put with a failing reader", func(b *mem.Backend) store.Backend { return keepsShort{b} }},
		{"put of an existing key", func(b *mem.Backend) store.Backend { return overwrites{b} }},
		{"put races for one key", func(b *mem.Backend) store.Backend { return overwrites{b} }},
		{"ranges", func(b *mem.Backend) store.Backend { return clamps{b} }},
		{"put keeps bytes", func(b *mem.Backend) store.Backend { return cuts{b} }},
		{"delete", func(b *mem.Backend) store.Backend { return strictDelete{b} }},
		{"list in order", func(b *mem.Backend) store.Backend { return backwards{b} }},
		{"list after a key", func(b *mem.Backend) store.Backend { return fromStart{b} }},
		{"list of many", func(b *mem.Backend) store.Backend { return onePage{b} }},
		{"ended context", func(b *mem.Backend) store.Backend { return endless{b} }},
		{"mark", func(b *mem.Backend) store.Backend { return &remarks{Backend: b} }},
	} {
		c.check(t)
	}
}

// broken makes a backend for which one case must fail; "": none.
type broken struct {
	fails string
	make  func(*mem.Backend) store.Backend
}

func (b broken) check(t *testing.T) {
	t.Helper()
	run := &runner{ctx: t.Context(), only: b.fails, failed: map[string]bool{}}
	storetest.Run(run, func(storetest.T) store.Backend { return b.make(mem.New()) })
	if len(run.failed) > 0 != (b.fails != "") {
		t.Errorf("failed were %v, want %q", run.failed, b.fails)
	}
}

// runner is a storetest.T that remembers which cases failed.
type runner struct {
	ctx      context.Context
	name     string
	only     string // the one case to run; "": all
	cleanups []func()

	mu     sync.Mutex
	failed map[string]bool
}

func (r *runner) Helper()                  {}
func (r *runner) Logf(string, ...any)      {}
func (r *runner) Context() context.Context { return r.ctx }
func (r *runner) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }

func (r *runner) Errorf(string, ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[r.name] = true
}

func (r *runner) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *runner) Run(name string, f func(storetest.T)) bool {
	if r.only != "" && r.only != name {
		return true
	}
	sub := &runner{ctx: r.ctx, name: name, failed: map[string]bool{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(sub)
	}()
	<-done
	for _, f := range slices.Backward(sub.cleanups) {
		f()
	}
	if len(sub.failed) > 0 {
		r.failed[name] = true
	}
	return len(sub.failed) == 0
}

// keepsShort stores what it got of a body.
type keepsShort struct{ *mem.Backend }

func (b keepsShort) Put(ctx context.Context, key store.Key, r io.Reader, _ int64) error {
	data, err := io.ReadAll(r)
	return errors.Join(err, b.Backend.Put(ctx, key, bytes.NewReader(data), int64(len(data))))
}

// overwrites replaces objects.
type overwrites struct{ *mem.Backend }

func (b overwrites) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	return errors.Join(b.Delete(ctx, key), b.Backend.Put(ctx, key, r, size))
}

// clamps gives what there is of a range.
type clamps struct{ *mem.Backend }

func (b clamps) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	info, err := b.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	off = min(max(off, 0), info.Size)
	return b.Backend.Get(ctx, key, off, min(n, info.Size-off))
}

// cuts ends bodies cleanly before their last byte.
type cuts struct{ *mem.Backend }

func (b cuts) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	f := storetest.NewFaulty(b.Backend)
	f.Queue(storetest.OpGet, storetest.Fault{Truncate: 1})
	return f.Get(ctx, key, off, n)
}

// strictDelete wants objects to be there.
type strictDelete struct{ *mem.Backend }

func (b strictDelete) Delete(ctx context.Context, key store.Key) error {
	if _, err := b.Stat(ctx, key); err != nil {
		return err
	}
	return b.Backend.Delete(ctx, key)
}

// backwards lists from the end.
type backwards struct{ *mem.Backend }

func (b backwards) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		var all []store.Info
		for info, err := range b.Backend.List(ctx, prefix, after) {
			if err != nil {
				yield(info, err)
				return
			}
			all = append(all, info)
		}
		for _, info := range slices.Backward(all) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// fromStart lists from the key on, not after it.
type fromStart struct{ *mem.Backend }

func (b fromStart) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	if after.Valid() {
		after = after[:len(after)-1]
	}
	return b.Backend.List(ctx, prefix, after)
}

// onePage lists 1000 objects.
type onePage struct{ *mem.Backend }

func (b onePage) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		n := 0
		for info, err := range b.Backend.List(ctx, prefix, after) {
			if n++; n > 1000 || !yield(info, err) {
				return
			}
		}
	}
}

// endless does not look at its context.
type endless struct{ *mem.Backend }

func (b endless) Stat(_ context.Context, key store.Key) (store.Info, error) {
	return b.Backend.Stat(context.Background(), key)
}

// remarks lets a mark be replaced.
type remarks struct {
	*mem.Backend

	mu   sync.Mutex
	mark string
}

func (b *remarks) Mark(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mark == "" {
		return b.Backend.Mark(ctx)
	}
	return b.mark, nil
}

func (b *remarks) SetMark(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mark = id
	return nil
}
