package store

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"
)

const (
	// batchMost is how many objects are deleted with one request at most: what
	// S3, OSS and COS take.
	batchMost = 1000
	// singlesAtOnce bounds the deletes that run together where a batch has to be
	// deleted one by one.
	singlesAtOnce = 8
)

// BatchDeleter gives the backend's deleting of many objects, if it has that, with
// what a Store adds: only the objects that a request failed to delete are asked
// for again.
func (s *Store) BatchDeleter() (BatchDeleter, bool) {
	if s.deleter == nil {
		return nil, false
	}
	return deleter{s}, true
}

// deleter is a store's BatchDeleter.
type deleter struct{ s *Store }

func (d deleter) DeleteAll(ctx context.Context, keys []Key) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		if err := d.s.admitted(); err != nil {
			for _, k := range keys {
				if !yield(k, d.s.named("delete", err)) {
					return
				}
			}
			return
		}
		failed := map[Key]error{}
		var own, singles []Key
		for _, k := range keys {
			if k.Valid() {
				own = append(own, k)
			} else {
				singles = append(singles, k) // not every foreign name can be said in a request for many
			}
		}
		for some := range slices.Chunk(own, batchMost) {
			singles = append(singles, d.batch(ctx, some, failed)...)
		}
		d.singly(ctx, singles, failed)
		for _, k := range keys {
			if err := failed[k]; err != nil && !yield(k, err) {
				return
			}
		}
	}
}

// batch deletes keys with one request as often as it takes, and notes what
// failed. It gives those that have to be tried one by one, since the storage does
// not take such requests, or the account may not make them: it may delete an
// object all the same.
func (d deleter) batch(ctx context.Context, keys []Key, failed map[Key]error) (singles []Key) {
	start, left, final := time.Now(), keys, error(nil)
	err := d.s.call(ctx, "delete", func() error {
		why := map[Key]error{}
		for k, err := range d.s.deleter.DeleteAll(ctx, left) {
			why[k] = err
		}
		var again []Key
		var passing error
		for _, k := range left {
			err := why[k]
			delete(failed, k)
			switch {
			case err == nil:
			case errors.Is(err, ErrUnsupported), errors.Is(err, ErrDenied):
				singles = append(singles, k)
			default:
				failed[k] = d.s.named("delete", err)
				if MayPass(err) {
					again, passing = append(again, k), patient(passing, err)
				} else {
					final = err
				}
			}
		}
		left = again
		return passing
	})
	for _, k := range left {
		if failed[k] == nil || ctx.Err() != nil {
			failed[k] = d.s.named("delete", err)
		}
	}
	if err == nil {
		err = final
	}
	d.s.observe("delete", err, time.Since(start))
	return singles
}

// patient is the one of two errors which asks for patience, the second if none
// does.
func patient(a, b error) error {
	var busy *BusyError
	if errors.As(a, &busy) {
		return a
	}
	return b
}

// singly deletes keys one by one, and notes what failed.
func (d deleter) singly(ctx context.Context, keys []Key, failed map[Key]error) {
	var mu sync.Mutex // guards failed
	var wg sync.WaitGroup
	places := make(limit, singlesAtOnce)
	for _, k := range keys {
		wg.Go(func() {
			err := places.hold(ctx, func() error { return d.s.Delete(ctx, k) })
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[k] = err
			}
		})
	}
	wg.Wait()
}
