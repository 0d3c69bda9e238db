package store_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
	"github.com/osproxy/osproxy/store/storetest"
)

// firstError is what a listing ends with.
func firstError[T any](list iter.Seq2[T, error]) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// calls are all that a Store has the storage asked, but Check and Claim.
func calls(t *testing.T, s *store.Store) map[string]error {
	t.Helper()
	ctx, key := t.Context(), store.NewKey(store.DirOf(1))
	errs := map[string]error{"put": s.Put(ctx, key, strings.NewReader("x"), 1)}
	_, errs["get"] = s.Get(ctx, key, 0, 1)
	_, errs["stat"] = s.Stat(ctx, key)
	errs["list"] = firstError(s.List(ctx, "", ""))
	composer, _ := s.Composer()
	id, err := composer.BeginCompose(ctx, key)
	errs["begin"] = err
	_, errs["compose"] = composer.Compose(ctx, store.NewKey(store.DirOf(2)), id, []store.Piece{{Key: key, Length: 1}})
	errs["abandon"] = composer.AbandonCompose(ctx, key, id)
	errs["unfinished"] = firstError(composer.Unfinished(ctx))
	browser, _ := s.Browser()
	errs["browse"] = firstError(browser.Browse(ctx, "", ""))
	_, errs["describe"] = browser.Describe(ctx, "x")
	_, errs["marked"] = browser.Marked(ctx, "")
	deleter, _ := s.BatchDeleter()
	errs["delete all"] = firstError(deleter.DeleteAll(ctx, []store.Key{key}))
	errs["delete"] = s.Delete(ctx, key)
	errs["delete a foreign one"] = s.Delete(ctx, store.ForeignKey("x"))
	return errs
}

// Of a storage of which nobody knows yet whose it is nothing is asked but its
// mark. What made it shut is never taken for an answer about an object.
func TestShutStoreIsNotAsked(t *testing.T) {
	b := mem.New()
	f := storetest.NewFaultyObjects(b)
	shut := true
	f.Otherwise(func(op storetest.Op, _ int) storetest.Fault {
		if shut {
			t.Errorf("it was asked for %v", op)
		}
		return storetest.Fault{}
	})
	s := store.New("s", f, store.Options{})
	s.Shut(fmt.Errorf("no route: %w", store.ErrNotFound))
	for op, err := range calls(t, s) {
		busy, ok := errors.AsType[*store.BusyError](err)
		if !ok || busy.After <= 0 || errors.Is(err, store.ErrNotFound) || !store.MayPass(err) || !strings.Contains(err.Error(), "no route") {
			t.Errorf("%s: %v", op, err)
		}
	}
	if s.Away() == nil {
		t.Error("it is not away")
	}
	shut = false
	if err := errors.Join(s.Check(t.Context()), s.Claim(t.Context(), "me", false)); err != nil {
		t.Errorf("its mark cannot be set: %v", err)
	}
	s.Admit()
	if err := errors.Join(s.Away(), s.Put(t.Context(), store.NewKey(store.DirOf(1)), strings.NewReader("x"), 1)); err != nil {
		t.Error(err)
	}
	for op, err := range calls(t, s) {
		if _, busy := errors.AsType[*store.BusyError](err); busy {
			t.Errorf("%s: %v", op, err)
		}
	}
}
