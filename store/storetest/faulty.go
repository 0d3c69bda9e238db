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
	OpMark   Op = "mark"

	// Of FaultyObjects.
	OpCheck          Op = "check"
	OpDeleteAll      Op = "delete all"
	OpBeginCompose   Op = "begin compose"
	OpCompose        Op = "compose"
	OpAbandonCompose Op = "abandon compose"
	OpUnfinished     Op = "unfinished"
	OpBrowse         Op = "browse"
	OpDescribe       Op = "describe"
	OpMarked         Op = "marked"
)

// Fault is what one call does instead of what it should. Fields combine; the
// zero Fault lets the call pass.
type Fault struct {
	// Delay is waited for first, or the end of the context.
	Delay time.Duration
	// Before is returned and the backend is not called.
	Before error
	// After is returned although the backend was called and may have
	// succeeded: a lost answer. A List, or another listing, ends with it.
	After error
	// Break is what a Get's body, or a listing, ends with after Intact bytes or
	// entries, if there are more.
	Break  error
	Intact int64
	// Truncate ends a Get's bytes cleanly this many bytes early.
	Truncate int64
	// Flip inverts the Get's byte at this position of the range, counted
	// from 1.
	Flip int64
}

// Faulty is a Backend that fails as it is told. Each call of a method takes
// the next fault of that method's queue; with none left it passes, or does what
// Otherwise says. It has no
// capabilities beyond Backend's, so that all bytes go through it.
type Faulty struct {
	store.Backend

	mu     sync.Mutex
	queues map[Op][]Fault
	calls  map[Op]int
	other  func(op Op, call int) Fault
}

// NewFaulty wraps b.
func NewFaulty(b store.Backend) *Faulty {
	return &Faulty{Backend: b, queues: map[Op][]Fault{}, calls: map[Op]int{}, other: func(Op, int) Fault { return Fault{} }}
}

// Otherwise gives the faults of calls that find their queue empty; call counts
// those of op from 1.
func (f *Faulty) Otherwise(fault func(op Op, call int) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.other = fault
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
	fault := f.other(op, f.calls[op])
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
	return f.call(ctx, OpPut, func() error { return f.Backend.Put(ctx, key, r, size) })
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
	if fault.Break != nil {
		body.r = io.MultiReader(io.LimitReader(r, fault.Intact), failing{fault.Break})
	}
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
	return f.call(ctx, OpDelete, func() error { return f.Backend.Delete(ctx, key) })
}

// List is Backend's, with faults.
func (f *Faulty) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return faultyListing(ctx, f, OpList, func() iter.Seq2[store.Info, error] { return f.Backend.List(ctx, prefix, after) })
}

// Mark is Backend's, with faults.
func (f *Faulty) Mark(ctx context.Context) (string, error) {
	fault, err := f.begin(ctx, OpMark)
	if err != nil {
		return "", err
	}
	mark, err := f.Backend.Mark(ctx)
	if err == nil {
		err = fault.After
	}
	return mark, err
}

// SetMark is Backend's, with the faults of OpMark.
func (f *Faulty) SetMark(ctx context.Context, id string) error {
	return f.call(ctx, OpMark, func() error { return f.Backend.SetMark(ctx, id) })
}

// call does one thing, with faults.
func (f *Faulty) call(ctx context.Context, op Op, do func() error) error {
	fault, err := f.begin(ctx, op)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return fault.After
}

// faultyListing lists, with faults.
func faultyListing[E any](ctx context.Context, f *Faulty, op Op, list func() iter.Seq2[E, error]) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		var none E
		fault, err := f.begin(ctx, op)
		if err != nil {
			yield(none, err)
			return
		}
		n := int64(0)
		for e, err := range list() {
			if fault.Break != nil && n == fault.Intact {
				yield(none, fault.Break)
				return
			}
			if n++; !yield(e, err) {
				return
			}
		}
		if fault.After != nil {
			yield(none, fault.After)
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
