package storetest

import (
	"fmt"
	"sync"

	"github.com/osproxy/osproxy/store"
)

func mark(t T, b store.Backend) {
	ctx := t.Context()
	_, err := b.Mark(ctx)
	wantErr(t, "mark of a new store", err, store.ErrNotFound)
	if err := b.SetMark(ctx, "one"); err != nil {
		t.Fatalf("set mark: %v", err)
	}
	for _, again := range []string{"one", "two", "a \"name\"\nwith {} in it"} {
		wantErr(t, "second set mark", b.SetMark(ctx, again), store.ErrExists)
		if got, err := b.Mark(ctx); err != nil || got != "one" {
			t.Errorf("mark: %q, %v, want %q", got, err, "one")
		}
	}
}

// markGetsAName: a mark from before marks had the store's name gets one, once,
// where an object can be replaced.
func markGetsAName(t T, b store.Backend) {
	ctx := t.Context()
	if err := b.SetMark(ctx, "one"); err != nil {
		t.Fatalf("set mark: %v", err)
	}
	wantErr(t, "name of another's", b.SetMark(ctx, "two store"), store.ErrExists)
	wantErr(t, "name of one whose id begins so", b.SetMark(ctx, "onemore store"), store.ErrExists)
	want := "one store"
	if _, files := b.(store.FileOpener); files {
		want = "one"
		wantErr(t, "name of a folder", b.SetMark(ctx, "one store"), store.ErrExists)
	} else if err := b.SetMark(ctx, "one store"); err != nil {
		t.Errorf("name a mark: %v", err)
	}
	for _, again := range []string{"one", "one store", "one other"} {
		if again != "one store" || want != "one" {
			wantErr(t, "set mark "+again, b.SetMark(ctx, again), store.ErrExists)
		}
		if got, err := b.Mark(ctx); err != nil || got != want {
			t.Errorf("mark: %q, %v, want %q", got, err, want)
		}
	}
}

func markRaces(t T, b store.Backend) {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = b.SetMark(t.Context(), fmt.Sprint("installation ", i)) })
	}
	wg.Wait()
	got, err := b.Mark(t.Context())
	if err != nil {
		t.Fatalf("mark: %v", err)
	}
	for i, err := range errs {
		if got == fmt.Sprint("installation ", i) {
			if err != nil {
				t.Errorf("the mark that holds was refused: %v", err)
			}
			continue
		}
		wantErr(t, "set mark that lost the race", err, store.ErrExists)
	}
}

func markIsNoObject(t T, b store.Backend) {
	if err := b.SetMark(t.Context(), "one"); err != nil {
		t.Fatalf("set mark: %v", err)
	}
	wantKeys(t, "list of a store with a mark alone", list(t, b, "", ""), nil)
	if l, ok := b.(store.StrayLister); ok {
		for name, err := range l.Strays(t.Context()) {
			t.Errorf("stray in a store with a mark alone: %q, %v", name, err)
		}
	}
}
