package storetest

import (
	"fmt"
	"slices"

	"github.com/osproxy/osproxy/store"
)

// spread puts objects in several directories and gives their keys in order.
func spread(t T, b store.Backend, dirs, each int) []store.Key {
	t.Helper()
	var keys []store.Key
	for d := range dirs {
		for range each {
			key := store.NewKey(store.DirOf(uint32(d) * 0x01_00_00_01))
			putAt(t, b, key, []byte(key))
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func wantKeys(t T, what string, got, want []store.Key) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d keys %v\nwant %d keys %v", what, len(got), got, len(want), want)
	}
}

func listInOrder(t T, b store.Backend) {
	wantKeys(t, "list of an empty store", list(t, b, "", ""), nil)
	keys := spread(t, b, 4, 5)
	wantKeys(t, "list", list(t, b, "", ""), keys)
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if info.Size != int64(len(info.Key)) {
			t.Errorf("list: %s has %d bytes, want %d", info.Key, info.Size, len(info.Key))
		}
		if stat, err := b.Stat(t.Context(), info.Key); err != nil || !stat.Time.Equal(info.Time) {
			t.Errorf("list: %s is of %v; stat: %v, %v", info.Key, info.Time, stat.Time, err)
		}
	}
	if err := b.Delete(t.Context(), keys[7]); err != nil {
		t.Fatalf("delete: %v", err)
	}
	wantKeys(t, "list after a delete", list(t, b, "", ""), slices.Delete(slices.Clone(keys), 7, 8))
}

func listAfter(t T, b store.Backend) {
	keys := spread(t, b, 3, 4)
	for i, k := range keys {
		wantKeys(t, fmt.Sprintf("list after key %d", i), list(t, b, "", k), keys[i+1:])
	}
	wantKeys(t, "list after a key that is not there", list(t, b, "", keys[4][:40]), keys[4:])
	wantKeys(t, "list after a directory", list(t, b, "", store.Key(keys[4].Dir())), keys[4:])
	wantKeys(t, "list after everything", list(t, b, "", "ffffffff/ffffffffffffffffffffffffffffffff"), nil)
}

func listPrefix(t T, b store.Backend) {
	keys := spread(t, b, 3, 4)
	mid := keys[5]
	for _, c := range []struct {
		prefix string
		after  store.Key
		want   []store.Key
	}{
		{string(mid.Dir()), "", keys[4:8]},
		{string(mid.Dir()) + "/", "", keys[4:8]},
		{string(mid.Dir()) + "/", mid, keys[6:8]},
		{string(mid.Dir()[:2]), "", keys[4:8]},
		{"0", "", keys},
		{"0", mid, keys[6:]},
		{string(mid), "", keys[5:6]},
		{string(mid), mid, nil},
		{string(mid[:30]), keys[0], keys[5:6]},
		{string(mid.Dir()), keys[11], nil},
		{"e", "", nil},
		{string(mid) + "0", "", nil},
		{"/", "", nil},
		{"..", "", nil},
		{"S", "", nil},
	} {
		wantKeys(t, fmt.Sprintf("list %q after %q", c.prefix, c.after), list(t, b, c.prefix, c.after), c.want)
	}
}

func listMany(t T, b store.Backend) {
	keys := spread(t, b, 3, 401)
	wantKeys(t, "list of more than a page", list(t, b, "", ""), keys)
	wantKeys(t, "list of the last ones", list(t, b, "", keys[1100]), keys[1101:])
}

func listStops(t T, b store.Backend) {
	keys := spread(t, b, 2, 3)
	for info, err := range b.List(t.Context(), "", "") {
		if err != nil || info.Key != keys[0] {
			t.Errorf("first of a list: %s, %v, want %s", info.Key, err, keys[0])
		}
		break
	}
	wantKeys(t, "list after one that was stopped", list(t, b, "", ""), keys)
}

// listDuringInserts: walking by resumption sees every object that was there
// from the beginning to the end, whatever comes and goes meanwhile.
func listDuringInserts(t T, b store.Backend) {
	keys := spread(t, b, 3, 20)
	var after store.Key
	var seen []store.Key
	for {
		n := 0
		for info, err := range b.List(t.Context(), "", after) {
			if err != nil {
				t.Fatalf("list after %q: %v", after, err)
			}
			if info.Key <= after {
				t.Fatalf("list after %q yields %q", after, info.Key)
			}
			after = info.Key
			if slices.Contains(keys, after) {
				seen = append(seen, after)
			}
			extra := put(t, b, nil)
			if n%2 == 0 {
				if err := b.Delete(t.Context(), extra); err != nil {
					t.Fatalf("delete: %v", err)
				}
			}
			if n++; n == 7 {
				break
			}
		}
		if n < 7 {
			break
		}
	}
	wantKeys(t, "list in pieces during inserts", seen, keys)
}
