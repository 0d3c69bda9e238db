package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/open"
)

// cleaners is how many objects are deleted at once.
const cleaners = 16

// within opens the store at a place for use.
func (t *trial) within(ctx context.Context, place open.Config, use func(store.Backend) error) error {
	b, err := t.backend(ctx, place)
	if err != nil {
		return err
	}
	return errors.Join(use(b), b.Close())
}

// empty removes what a case made, but for the mark.
func (t *trial) empty(ctx context.Context, place open.Config) error {
	if place.Type == "local" {
		return os.RemoveAll(place.Path)
	}
	return t.within(ctx, place, func(b store.Backend) error {
		s := store.New("trial", b, store.Options{})
		if c, ok := s.Composer(); ok {
			for u, err := range c.Unfinished(ctx) {
				if err == nil {
					err = c.AbandonCompose(ctx, u.Key, u.ID)
				}
				if err != nil {
					return err
				}
			}
		}
		return deleteAll(ctx, s, func(yield func(store.Key, error) bool) {
			for info, err := range s.List(ctx, "", "") {
				if !yield(info.Key, err) {
					return
				}
			}
		})
	})
}

// clean removes all that is in the place of the trial, marks too: to a store
// that is below another name there, they are foreign objects.
func (t *trial) clean(ctx context.Context) error {
	if t.root.Type == "local" {
		return os.RemoveAll(t.root.Path)
	}
	return t.within(ctx, t.root.Below("cleaning"), func(b store.Backend) error {
		s := store.New("trial", b, store.Options{})
		browser, ok := s.Browser()
		if !ok {
			return errors.New("the marks of its stores are left")
		}
		all := func(yield func(store.Key, error) bool) {
			for found, err := range browser.Browse(ctx, t.root.Prefix+"/", "") {
				if !yield(store.ForeignKey(found.Name), err) {
					return
				}
			}
		}
		if err := deleteAll(ctx, s, all); err != nil {
			return err
		}
		for key, err := range all {
			if name, _ := key.Foreign(); err == nil {
				err = fmt.Errorf("%q is still there", name)
			}
			return err
		}
		return nil
	})
}

// deleteAll deletes what is listed, several at a time, and gives the first
// error after all was tried.
func deleteAll(ctx context.Context, s *store.Store, keys iter.Seq2[store.Key, error]) error {
	var wg sync.WaitGroup
	work, failed := make(chan store.Key), make(chan error, cleaners)
	for range cleaners {
		wg.Go(func() {
			var first error
			for key := range work {
				if err := s.Delete(ctx, key); err != nil && first == nil {
					first = err
				}
			}
			failed <- first
		})
	}
	var listed error
	for key, err := range keys {
		if err != nil {
			listed = err
			break
		}
		work <- key
	}
	close(work)
	wg.Wait()
	for range cleaners {
		if err := <-failed; err != nil && listed == nil {
			listed = err
		}
	}
	return listed
}
