package storetest

import (
	"context"
	"iter"

	"github.com/osproxy/osproxy/store"
)

// Objects is a backend with all that object stores can do.
type Objects interface {
	store.Backend
	store.Composer
	store.Browser
	store.Checker
	store.BatchDeleter
}

// FaultyObjects is a Faulty that composes, browses, checks and deletes many.
type FaultyObjects struct {
	*Faulty
	objects Objects
}

// NewFaultyObjects wraps b.
func NewFaultyObjects(b Objects) FaultyObjects { return FaultyObjects{NewFaulty(b), b} }

// Check is store.Checker's, with faults.
func (f FaultyObjects) Check(ctx context.Context) error {
	return f.call(ctx, OpCheck, func() error { return f.objects.Check(ctx) })
}

// DeleteAll is store.BatchDeleter's, with the faults of OpDeleteAll for the
// request, of which nothing is known then, and of OpDelete for each key in it.
func (f FaultyObjects) DeleteAll(ctx context.Context, keys []store.Key) iter.Seq2[store.Key, error] {
	return func(yield func(store.Key, error) bool) {
		fault, lost := f.begin(ctx, OpDeleteAll)
		for _, k := range keys {
			err := lost
			if err == nil {
				err = f.call(ctx, OpDelete, func() error { return f.deleteOne(ctx, k) })
			}
			if err == nil {
				err = fault.After
			}
			if err != nil && !yield(k, err) {
				return
			}
		}
	}
}

// deleteOne is what the backend says of one key among many.
func (f FaultyObjects) deleteOne(ctx context.Context, key store.Key) error {
	for _, err := range f.objects.DeleteAll(ctx, []store.Key{key}) {
		return err
	}
	return nil
}

// BeginCompose is store.Composer's, with faults.
func (f FaultyObjects) BeginCompose(ctx context.Context, key store.Key) (id store.ComposeID, err error) {
	err = f.call(ctx, OpBeginCompose, func() error {
		id, err = f.objects.BeginCompose(ctx, key)
		return err
	})
	return id, err
}

// Compose is store.Composer's, with faults.
func (f FaultyObjects) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (verified bool, err error) {
	err = f.call(ctx, OpCompose, func() error {
		verified, err = f.objects.Compose(ctx, key, id, pieces)
		return err
	})
	return verified, err
}

// AbandonCompose is store.Composer's, with faults.
func (f FaultyObjects) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	return f.call(ctx, OpAbandonCompose, func() error { return f.objects.AbandonCompose(ctx, key, id) })
}

// Unfinished is store.Composer's, with faults.
func (f FaultyObjects) Unfinished(ctx context.Context) iter.Seq2[store.Unfinished, error] {
	return faultyListing(ctx, f.Faulty, OpUnfinished, func() iter.Seq2[store.Unfinished, error] { return f.objects.Unfinished(ctx) })
}

// Browse is store.Browser's, with faults.
func (f FaultyObjects) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return faultyListing(ctx, f.Faulty, OpBrowse, func() iter.Seq2[store.Found, error] { return f.objects.Browse(ctx, prefix, after) })
}

// Describe is store.Browser's, with faults.
func (f FaultyObjects) Describe(ctx context.Context, name string) (found store.Found, err error) {
	err = f.call(ctx, OpDescribe, func() error {
		found, err = f.objects.Describe(ctx, name)
		return err
	})
	return found, err
}

// Marked is store.Browser's, with faults.
func (f FaultyObjects) Marked(ctx context.Context, dir string) (marked bool, err error) {
	err = f.call(ctx, OpMarked, func() error {
		marked, err = f.objects.Marked(ctx, dir)
		return err
	})
	return marked, err
}
