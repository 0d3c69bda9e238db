package storetest

import (
	"context"
	"slices"

	"github.com/osproxy/osproxy/store"
)

func runBatchDeleter(t T, open Open) {
	t.Run("delete many", func(t T) {
		b := opened(t, open)
		d, ok := b.(store.BatchDeleter)
		if !ok {
			t.Logf("the backend deletes one object at a time")
			return
		}
		keys := spread(t, b, 3, 400)
		kept := []store.Key{keys[3], keys[1111]}
		gone := slices.DeleteFunc(slices.Clone(keys), func(k store.Key) bool { return slices.Contains(kept, k) })
		absent := []store.Key{store.NewKey(dir), store.NewKey("ffffffff")}
		for range 2 { // the second time, all are absent
			for k, err := range d.DeleteAll(t.Context(), slices.Concat(gone, absent)) {
				t.Errorf("delete %s among many: %v", k, err)
			}
			wantKeys(t, "list after deleting many", list(t, b, "", ""), kept)
		}
		for k, err := range d.DeleteAll(t.Context(), nil) {
			t.Errorf("delete none: %s, %v", k, err)
		}
		deleteManyRefused(t, b, d, kept)
	})
}

// deleteManyRefused: a key that is none, and an end of the context, are told of
// each key.
func deleteManyRefused(t T, b store.Backend, d store.BatchDeleter, kept []store.Key) {
	var told []store.Key
	for k, err := range d.DeleteAll(t.Context(), []store.Key{"x", store.NewKey(dir), ""}) {
		wantErr(t, "delete of a bad key among others", err, store.ErrKey)
		told = append(told, k)
	}
	wantKeys(t, "bad keys that are told of", told, []store.Key{"x", ""})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	told = nil
	for k, err := range d.DeleteAll(ctx, kept) {
		wantErr(t, "delete many with an ended context", err, context.Canceled)
		told = append(told, k)
	}
	wantKeys(t, "keys that are told of when the context has ended", told, kept)
	wantKeys(t, "list after deleting nothing", list(t, b, "", ""), kept)
}
