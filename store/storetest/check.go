package storetest

import "github.com/osproxy/osproxy/store"

// runChecker: looking changes nothing.
func runChecker(t T, open Open) {
	t.Run("check", func(t T) {
		b := opened(t, open)
		c, ok := b.(store.Checker)
		if !ok {
			t.Logf("the backend has no check of its own")
			return
		}
		look := func(when string) {
			t.Helper()
			for range 2 {
				if err := c.Check(t.Context()); err != nil {
					t.Errorf("check %s: %v", when, err)
				}
			}
		}
		look("of a new store")
		_, err := b.Mark(t.Context())
		wantErr(t, "mark of a store that was checked", err, store.ErrNotFound)
		wantKeys(t, "list of a store that was checked", list(t, b, "", ""), nil)
		if err := b.SetMark(t.Context(), "one"); err != nil {
			t.Fatalf("set mark: %v", err)
		}
		key := put(t, b, []byte("kept"))
		look("of a store in use")
		if got, err := b.Mark(t.Context()); err != nil || got != "one" {
			t.Errorf("mark after a check: %q, %v", got, err)
		}
		wantKeys(t, "list after a check", list(t, b, "", ""), []store.Key{key})
		wantBytes(t, b, key, []byte("kept"))
	})
}
