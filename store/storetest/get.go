package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"

	"github.com/osproxy/osproxy/store"
)

func ranges(t T, b store.Backend) {
	const n = 10_000
	data := bytesOf(6, n)
	key := put(t, b, data)
	empty := put(t, b, nil)
	for _, c := range []struct {
		key    store.Key
		off, n int64
		want   []byte // nil: ErrRange
	}{
		{key, 0, n, data},
		{key, 0, -1, data},
		{key, 0, 1, data[:1]},
		{key, n - 1, 1, data[n-1:]},
		{key, n - 1, -1, data[n-1:]},
		{key, 4095, 4098, data[4095 : 4095+4098]},
		{key, 0, 0, []byte{}},
		{key, 17, 0, []byte{}},
		{key, n, 0, []byte{}},
		{key, n, -1, []byte{}},
		{key, n + 1, 0, nil},
		{key, n + 1, -1, nil},
		{key, n, 1, nil},
		{key, 0, n + 1, nil},
		{key, n - 1, 2, nil},
		{key, 1, math.MaxInt64, nil},
		{key, math.MaxInt64, 1, nil},
		{key, math.MaxInt64, -1, nil},
		{key, -1, 1, nil},
		{key, -1, -1, nil},
		{empty, 0, 0, []byte{}},
		{empty, 0, -1, []byte{}},
		{empty, 0, 1, nil},
		{empty, 1, 0, nil},
	} {
		got, err := read(t.Context(), b, c.key, c.off, c.n)
		switch {
		case c.want == nil && !errors.Is(err, store.ErrRange):
			t.Errorf("get %d bytes from %d: %d bytes, error %v, want one that is %q", c.n, c.off, len(got), err, store.ErrRange)
		case c.want != nil && err != nil:
			t.Errorf("get %d bytes from %d: %v", c.n, c.off, err)
		case c.want != nil && !bytes.Equal(got, c.want):
			t.Errorf("get %d bytes from %d: %s", c.n, c.off, difference(got, c.want))
		}
	}
}

func getMissing(t T, b store.Backend) {
	wantAbsent(t, b, store.NewKey(dir))
	put(t, b, []byte("x"))
	wantAbsent(t, b, store.NewKey(dir))
	wantAbsent(t, b, store.NewKey("ffffffff"))
}

// readWhileDeleting: all bytes or an error, never a clean end before.
func readWhileDeleting(t T, b store.Backend) {
	data := bytesOf(7, large)
	key := put(t, b, data)
	r, err := b.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer r.Close()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatalf("read: %v", err)
	}
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatalf("delete: %v", err)
	}
	wantAbsent(t, b, key)
	rest, err := io.ReadAll(r)
	if got := append(head, rest...); err == nil && !bytes.Equal(got, data) {
		t.Errorf("a read that ended cleanly gave %s", difference(got, data))
	} else if !bytes.HasPrefix(data, got) {
		t.Errorf("a read that failed (%v) had given wrong bytes: %s", err, difference(got, data))
	}
}

func deleteIsIdempotent(t T, b store.Backend) {
	kept := put(t, b, []byte("kept"))
	key := put(t, b, []byte("gone"))
	for _, what := range []string{"delete", "second delete"} {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		wantAbsent(t, b, key)
	}
	for _, missing := range []store.Key{store.NewKey(dir), store.NewKey("ffffffff")} {
		if err := b.Delete(t.Context(), missing); err != nil {
			t.Errorf("delete of an object that never was: %v", err)
		}
	}
	wantBytes(t, b, kept, []byte("kept"))
}

func statDescribes(t T, b store.Backend) {
	for _, n := range []int{0, 1, large} {
		key := put(t, b, bytesOf(8, n))
		info, err := b.Stat(t.Context(), key)
		if err != nil || info.Key != key || info.Size != int64(n) {
			t.Errorf("stat of %s, %d bytes: %+v, %v", key, n, info, err)
		}
	}
}

func invalidKeys(t T, b store.Backend) {
	name := "0123456789abcdef0123456789abcdef"
	for _, key := range []store.Key{
		"", "/", "STORE", store.Key(name), store.Key(dir), store.Key(dir) + "/",
		"../" + store.Key(name), "00000001/../" + store.Key(name[3:]), "/0000001/" + store.Key(name),
		"0000000A/" + store.Key(name), "0000001/" + store.Key(name), "000000001/" + store.Key(name),
		"00000001/" + store.Key(name[1:]), "00000001/" + store.Key(name) + "0", "00000001/" + store.Key(name) + "/",
		"00000001\\" + store.Key(name), "00000001/" + store.Key(name[1:]) + "\x00", "00000001//" + store.Key(name[1:]),
	} {
		ctx := t.Context()
		wantErr(t, "put of a bad key", b.Put(ctx, key, bytes.NewReader(nil), 0), store.ErrKey)
		_, err := b.Get(ctx, key, 0, -1)
		wantErr(t, "get of a bad key", err, store.ErrKey)
		_, err = b.Stat(ctx, key)
		wantErr(t, "stat of a bad key", err, store.ErrKey)
		wantErr(t, "delete of a bad key", b.Delete(ctx, key), store.ErrKey)
		if a, ok := b.(store.Assembler); ok {
			_, err := a.Assemble(ctx, key)
			wantErr(t, "assemble of a bad key", err, store.ErrKey)
		}
		if o, ok := b.(store.FileOpener); ok {
			_, err := o.OpenFile(ctx, key)
			wantErr(t, "open of a bad key", err, store.ErrKey)
		}
	}
	if d, ok := b.(store.DirMaker); ok {
		for _, bad := range []store.Dir{"", ".", "..", "0000000g", "1", "000000001", "../00000"} {
			wantErr(t, "making a bad directory", d.MakeDir(t.Context(), bad), store.ErrKey)
		}
	}
}

func endedContext(t T, b store.Backend) {
	key := put(t, b, []byte("abc"))
	other := store.NewKey(dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(what string, err error) {
		t.Helper()
		wantErr(t, what+" with an ended context", err, context.Canceled)
	}
	check("put", b.Put(ctx, other, bytes.NewReader([]byte("x")), 1))
	_, err := b.Get(ctx, key, 0, -1)
	check("get", err)
	_, err = b.Stat(ctx, key)
	check("stat", err)
	check("delete", b.Delete(ctx, key))
	_, err = b.Mark(ctx)
	check("mark", err)
	check("set mark", b.SetMark(ctx, "x"))
	err = nil
	for _, err = range b.List(ctx, "", "") {
	}
	check("list", err)
	wantAbsent(t, b, other)
	wantBytes(t, b, key, []byte("abc"))
	_, err = b.Mark(t.Context())
	wantErr(t, "mark after a cancelled set", err, store.ErrNotFound)

	ctx, cancel = context.WithCancel(t.Context())
	r, err := b.Get(ctx, key, 0, -1)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer r.Close()
	cancel()
	if data, err := io.ReadAll(r); err == nil && string(data) != "abc" {
		t.Errorf("read after the context ended: %q and a clean end", data)
	}
}
