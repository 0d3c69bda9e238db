package store_test

import (
	"errors"
	"testing"

	"github.com/osproxy/osproxy/store"
)

func TestKeys(t *testing.T) {
	seen := map[store.Key]bool{}
	for n := range uint32(1000) {
		d := store.DirOf(n * 4_294_967)
		k := store.NewKey(d)
		if !d.Valid() || !k.Valid() || k.Check() != nil || k.Dir() != d || len(k) != 41 || seen[k] {
			t.Fatalf("directory %q, key %q", d, k)
		}
		seen[k] = true
	}
	if d := store.DirOf(0xABC); d != "00000abc" {
		t.Errorf("directory 0xABC is %q", d)
	}
	for _, k := range []store.Key{"", "x", "00000000/", "/0123456789abcdef0123456789abcdef", "00000000/0123456789ABCDEF0123456789abcdef"} {
		if k.Valid() || !errors.Is(k.Check(), store.ErrKey) {
			t.Errorf("%q passes as a key", k)
		}
	}
}
