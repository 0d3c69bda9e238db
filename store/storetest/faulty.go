package storetest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/osproxy/osproxy/store"
)

// Op names a method of a Backend that can be made to fail.
type Op string

// The methods that take faults.
const (
	OpPut    Op = "put"
	OpGet    Op = "get"
	OpStat   Op = "stat"
	OpDelete Op = "delete"
	OpList   Op = "list"
)

// Fault is what one call does instead of what it should. Fields combine; the
// zero Fault lets the call pass.
type Fault struct {
	// Delay is waited for first, or the end of the context.
	Delay time.Duration
	// Before is returned and the backend is not called.
	Before error
	// After is returned although the backend was called and may have
	// succeeded: a lost answer. A List ends with it.
	After error
	// Truncate ends a Get's bytes cleanly this many bytes early.
	Truncate int64
	// Flip inverts the Get's byte at this position of the range, counted
	// from 1.
	Flip int64
}

// Faulty is a Backend that fails as it is told. Each call of a method takes
// the next fault of that method's queue; with none left it passes. It has no
// capabilities beyond Backend's, so that all bytes go through it.
type Faulty struct {
	store.Backend

	mu     sync.Mutex
	queues map[Op][]Fault
	calls  map[Op]int
}

// NewFaulty wraps b.
func NewFaulty(b store.Backend) *Faulty {
	return &Faulty{Backend: b, queues: map[Op][]Fault{}, calls: map[Op]int{}}
}

// Queue adds faults for the next calls of op.
func (f *Faulty) Queue(op Op, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queues[op] = append(f.queues[op], faults...)
}

// Calls counts the calls of op, those that failed included.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// begin takes the fault of a call and does what comes before the call.
func (f *Faulty) begin(ctx context.Context, op Op) (Fault, error) {
	f.mu.Lock()
	f.calls[op]++
	var fault Fault
	if q := f.queues[op]; len(q) > 0 {
		fault, f.queues[op] = q[0], q[1:]
	}
	f.mu.Unlock()
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fault, fmt.Errorf("%s: %w", op, ctx.Err())
		}
	}
	return fault, fault.Before
}

// Put is Backend's, with faults.
func (f *Faulty) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	fault, err := f.begin(ctx, OpPut)
	if err != nil {
		return err
	}
	if err := f.Backend.Put(ctx, key, r, size); err != nil {
		return err
	}
	return fault.After
}

// Get is Backend's, with faults.
func (f *Faulty) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	fault, err := f.begin(ctx, OpGet)
	if err != nil {
		return nil, err
	}
	if n < 0 && fault.Truncate > 0 {
		info, err := f.Backend.Stat(ctx, key)
		if err != nil {
			return nil, err
		}
		n = max(0, info.Size-off)
	}
	r, err := f.Backend.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	if fault.After != nil {
		r.Close()
		return nil, fault.After
	}
	body := &damaged{Closer: r, r: r, flip: fault.Flip}
	if fault.Truncate > 0 {
		body.r = io.LimitReader(r, max(0, n-fault.Truncate))
	}
	return body, nil
}

// Stat is Backend's, with faults.
func (f *Faulty) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	fault, err := f.begin(ctx, OpStat)
	if err != nil {
		return store.Info{}, err
	}
	info, err := f.Backend.Stat(ctx, key)
	if err == nil {
		err = fault.After
	}
	return info, err
}

// Delete is Backend's, with faults.
func (f *Faulty) Delete(ctx context.Context, key store.Key) error {
	fault, err := f.begin(ctx, OpDelete)
	if err != nil {
		return err
	}
	if err := f.Backend.Delete(ctx, key); err != nil {
		return err
	}
	return fault.After
}

// List is Backend's, with faults.
func (f *Faulty) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		fault, err := f.begin(ctx, OpList)
		if err != nil {
			yield(store.Info{}, err)
			return
		}
		for info, err := range f.Backend.List(ctx, prefix, after) {
			if !yield(info, err) {
				return
			}
		}
		if fault.After != nil {
			yield(store.Info{}, fault.After)
		}
	}
}

// damaged is a body with one byte wrong.
type damaged struct {
	io.Closer
	r    io.Reader
	flip int64 // position of the byte among those to come, from 1; below: none
}

func (d *damaged) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if d.flip > 0 && d.flip <= int64(n) {
		p[d.flip-1] ^= 0xff
	}
	d.flip -= int64(n)
	return n, err
}
