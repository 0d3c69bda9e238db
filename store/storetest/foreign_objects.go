package storetest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/osproxy/osproxy/store"
)

// oddNames are names that some layer would like to change. They are put behind
// a prefix, but for those that are odd in front.
func oddNames(prefix string) []string {
	names := []string{"/" + prefix, "//" + prefix, " " + prefix, "@" + prefix}
	for _, n := range []string{
		"plain.txt", "with space", "two  spaces", "plus+plus", "100%", "%2F", "%20", "a%2fb", "ä/ö/ü", "日本語.txt", "emoji 🗂",
		"a//b", "a/", "end//", "a/./b", "a/../b", "q?x=1&y=2", "#frag", "semi;colon", "quote\"'`", "back\\slash", "tab\tbed", "new\nline",
		"<tag>&amp;", "a:b", "e\u0301 \u00e9", ".hidden", "end.", "~", "=", "*", strings.Repeat("long/", 80) + "x",
	} {
		names = append(names, prefix+"/"+n)
	}
	return names
}

func foreignNames(t T, b browsing) {
	for i, name := range oddNames(b.prefix) {
		data := bytesOf(uint64(200+i), 1000+i)
		if putForeign(t, b, name, data) {
			wantForeign(t, b, name, data)
		}
	}
}

// foreignAmong: what has no key's name is foreign, however near it comes to one,
// and lies in a directory of keys too.
func foreignAmong(t T, b browsing) {
	key := store.NewKey(store.Dir(b.prefix[1:]))
	putAt(t, b, key, []byte("ours"))
	top, name, _ := strings.Cut(string(key), "/")
	for i, foreign := range []string{
		top + "/photo.jpg", top + "/deep/in/photo.jpg", top + "/" + name[1:], top + "/" + name + "0", top + "/" + strings.ToUpper("a"+name[1:]),
		top + "/x/" + name, top[1:] + "/" + name, "0" + top + "/" + name, "STORE." + top, "OSPD-STORE." + top, "lost+found/" + top,
	} {
		data := bytesOf(uint64(300+i), 100+i)
		if putForeign(t, b, foreign, data) {
			wantForeign(t, b, foreign, data)
		}
	}
	_, err := b.Describe(t.Context(), string(key))
	wantErr(t, "describe of an object of ours", err, store.ErrNotFound)
	wantNames(t, "browse beside an object of ours", browse(t, b, top+"/", ""), nil)
	wantKeys(t, "list among foreign objects", list(t, b, top, ""), []store.Key{key})
}

// wantForeign checks that a foreign object is found, described, read and
// deleted by its very name.
func wantForeign(t T, b browsing, name string, data []byte) {
	t.Helper()
	wantFound(t, b, name, int64(len(data)))
	key := store.ForeignKey(name)
	wantBytes(t, b, key, data)
	if got, err := read(t.Context(), b, key, 10, 20); err != nil || !bytes.Equal(got, data[10:30]) {
		t.Errorf("get 20 bytes of %q from 10: %s, %v", name, difference(got, data[10:30]), err)
	}
	_, err := read(t.Context(), b, key, int64(len(data)), 1)
	wantErr(t, "get beyond a foreign object", err, store.ErrRange)
	if info, err := b.Stat(t.Context(), key); err != nil || info.Key != key || info.Size != int64(len(data)) {
		t.Errorf("stat of %q: %+v, %v", name, info, err)
	}
	for range 2 {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %q: %v", name, err)
		}
	}
	wantNoForeign(t, b, name)
}

// wantFound checks that the name is among those found, once.
func wantFound(t T, b browsing, name string, size int64) {
	t.Helper()
	n := 0
	for f, err := range b.Browse(t.Context(), name, "") {
		if err != nil {
			t.Fatalf("browse %q: %v", name, err)
		}
		if f.Name == name && f.Size == size {
			n++
		}
	}
	if n != 1 {
		t.Errorf("browse %q: found %d times", name, n)
	}
	if f, err := b.Describe(t.Context(), name); err != nil || f.Name != name || f.Size != size {
		t.Errorf("describe %q: %+v, %v", name, f, err)
	}
}

func wantNoForeign(t T, b browsing, name string) {
	t.Helper()
	key := store.ForeignKey(name)
	_, err := b.Get(t.Context(), key, 0, -1)
	wantErr(t, "get of an absent foreign object", err, store.ErrNotFound)
	_, err = b.Stat(t.Context(), key)
	wantErr(t, "stat of an absent foreign object", err, store.ErrNotFound)
	_, err = b.Describe(t.Context(), name)
	wantErr(t, "describe of an absent foreign object", err, store.ErrNotFound)
	for _, found := range browse(t, b, name, "") {
		if found == name {
			t.Errorf("browse finds the absent %q", name)
		}
	}
}

func foreignMissing(t T, b browsing) {
	names := spreadForeign(t, b, "/here")
	for _, name := range []string{b.prefix, b.prefix + "/", b.prefix + "/her", b.prefix + "/here2", b.prefix + "/gone"} {
		wantNoForeign(t, b, name)
		if err := b.Delete(t.Context(), store.ForeignKey(name)); err != nil {
			t.Errorf("delete of a foreign object that never was: %v", err)
		}
	}
	wantNames(t, "browse", browse(t, b, b.prefix, ""), names)
	for _, key := range []store.Key{store.ForeignKey(""), store.ForeignKey("a\x00b"), store.ForeignKey(strings.Repeat("x", 1025))} {
		_, err := b.Get(t.Context(), key, 0, -1)
		wantErr(t, "get of a bad foreign key", err, store.ErrKey)
		_, err = b.Stat(t.Context(), key)
		wantErr(t, "stat of a bad foreign key", err, store.ErrKey)
		wantErr(t, "delete of a bad foreign key", b.Delete(t.Context(), key), store.ErrKey)
	}
}

// foreignChanges: a tag tells one state of an object from another.
func foreignChanges(t T, b browsing) {
	name := spreadForeign(t, b, "/changing")[0]
	tags := map[string]bool{}
	for i := range 3 {
		if err := b.PutForeign(t.Context(), name, "text/x-test", bytesOf(uint64(i), 1000)); err != nil {
			t.Fatalf("put foreign object again: %v", err)
		}
		for range 2 {
			f, err := b.Describe(t.Context(), name)
			if err != nil {
				t.Fatalf("describe: %v", err)
			}
			tags[f.Tag] = true
		}
	}
	if len(tags) != 3 {
		t.Errorf("an object of three states had the tags %v", tags)
	}
}

// foreignMarks: a store is found by its mark, whatever keeps it, and a store's
// own is none of another's.
func foreignMarks(t T, b browsing) {
	if err := b.SetMark(t.Context(), "one"); err != nil {
		t.Fatalf("set mark: %v", err)
	}
	for _, name := range []string{"/other/OSPD-STORE", "/other/STORE", "/none/OSPD-STORE.txt", "/none/x"} {
		if !putForeign(t, b, b.prefix+name, []byte(`{"installation": "two"}`)) {
			t.Fatalf("a storage that cannot have %q", name)
		}
	}
	for dir, want := range map[string]bool{
		"": false, b.prefix + "/": false, b.prefix + "/none/": false, b.prefix + "/other/": true, b.prefix + "/other/below/": false,
		b.prefix + "/gone/": false, strings.Repeat("long/", 204): false,
	} {
		if got, err := b.Marked(t.Context(), dir); got != want || err != nil {
			t.Errorf("a mark of another's in %q: %t, %v, want %t", dir, got, err, want)
		}
	}
}

func isUnsupported(err error) bool { return errors.Is(err, store.ErrUnsupported) }
