package local_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
)

const name = "0123456789abcdef0123456789abcdef"

func TestLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "by", "the store")
	b := open(t, local.Config{Path: path})
	defer b.Close()
	ctx := t.Context()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening a store made its folder: %v", err)
	}
	if err := b.SetMark(ctx, "me"); err != nil {
		t.Fatal(err)
	}
	key := store.Key("0000abcd/" + name)
	if err := b.Put(ctx, key, strings.NewReader("abc"), 3); err != nil {
		t.Fatal(err)
	}
	want := map[string]os.FileMode{
		".":                os.ModeDir | 0o700,
		"STORE":            0o600,
		"0000abcd":         os.ModeDir | 0o700,
		"0000abcd/" + name: 0o600,
	}
	got := map[string]os.FileMode{}
	err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		rel, _ := filepath.Rel(path, p)
		got[filepath.ToSlash(rel)] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for p, mode := range want {
		if m, ok := got[p]; !ok || runtime.GOOS != "windows" && m != mode {
			t.Errorf("%s has mode %v, want %v", p, m, mode)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the folder holds %v", got)
	}
	if free, err := b.Free(ctx); err != nil || free <= 0 {
		t.Errorf("free: %d, %v", free, err)
	}
}

// TestMissingFolder: an unmounted disk is not an empty store.
func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "unmounted")
	b := open(t, local.Config{Path: path})
	defer b.Close()
	ctx, key := t.Context(), store.NewKey("00000001")
	if _, err := b.Mark(ctx); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("mark: %v", err)
	}
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrUnmarked) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("put", b.Put(ctx, key, strings.NewReader("x"), 1))
	_, err := b.Get(ctx, key, 0, -1)
	check("get", err)
	_, err = b.Stat(ctx, key)
	check("stat", err)
	check("delete", b.Delete(ctx, key))
	_, err = b.Assemble(ctx, key)
	check("assemble", err)
	_, err = b.OpenFile(ctx, key)
	check("open", err)
	check("make directory", b.MakeDir(ctx, "00000001"))
	_, err = b.Free(ctx)
	check("free", err)
	err = nil
	for _, err = range b.List(ctx, "", "") {
	}
	check("list", err)
	err = nil
	for _, err = range b.Strays(ctx) {
	}
	check("strays", err)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(ctx, key, strings.NewReader("x"), 1); err != nil {
		t.Errorf("put when the folder is there: %v", err)
	}
}

func TestBadPaths(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", file, filepath.Join(file, "below")} {
		if b, err := local.New(local.Config{Path: path}); err == nil {
			t.Errorf("a store at %q opened", path)
			b.Close()
		}
	}
}

func TestStrays(t *testing.T) {
	path := t.TempDir()
	b := open(t, local.Config{Path: path})
	defer b.Close()
	ctx := t.Context()
	if err := b.SetMark(ctx, "me"); err != nil {
		t.Fatal(err)
	}
	key := store.NewKey("00000001")
	if err := b.Put(ctx, key, strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"STORE.ABCDEFGHIJKLMNOPQRSTUVWXYZ", "STORE.bak", "README", "00000001/note", "00000001/" + name + ".tmp", "0000000A/" + name, "00000002"} {
		full := filepath.Join(path, f)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"lost+found", "other/deep", "00000003/" + name} {
		if err := os.MkdirAll(filepath.Join(path, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var strays []string
	for s, err := range b.Strays(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		strays = append(strays, s)
	}
	want := []string{"00000001/" + name + ".tmp", "00000001/note", "00000002", "00000003/" + name, "0000000A", "README", "STORE.bak", "other"}
	if !slices.Equal(strays, want) {
		t.Errorf("strays %q, want %q", strays, want)
	}
	for info, err := range b.List(ctx, "", "") {
		if err != nil || info.Key != key {
			t.Errorf("list: %s, %v", info.Key, err)
		}
	}
}

// TestDirectoryRemoved: someone tidied up empty directories.
func TestDirectoryRemoved(t *testing.T) {
	path := t.TempDir()
	b := open(t, local.Config{Path: path})
	defer b.Close()
	for range 2 {
		key := store.NewKey("00000001")
		if err := b.Put(t.Context(), key, strings.NewReader("abc"), 3); err != nil {
			t.Fatal(err)
		}
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(path, "00000001")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingEscapes: a directory that is a link out of the store is refused.
func TestNothingEscapes(t *testing.T) {
	path, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, name)
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(path, "00000001")); err != nil {
		t.Fatal(err)
	}
	b := open(t, local.Config{Path: path})
	defer b.Close()
	ctx := t.Context()
	if r, err := b.Get(ctx, "00000001/"+name, 0, -1); err == nil {
		data, _ := io.ReadAll(r)
		t.Errorf("read %q from outside the store", data)
	}
	if err := b.Put(ctx, store.NewKey("00000001"), strings.NewReader("x"), 1); err == nil {
		t.Error("wrote outside the store")
	}
	if err := b.Delete(ctx, "00000001/"+name); err == nil {
		t.Error("deleted outside the store")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("the folder outside holds %v, %v", entries, err)
	}
}

// TestTruncatedObject: a file cut short is never a clean, short read.
func TestTruncatedObject(t *testing.T) {
	path := t.TempDir()
	b := open(t, local.Config{Path: path})
	defer b.Close()
	key := store.NewKey("00000001")
	data := random(1, 100_000)
	if err := b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	r, err := b.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(filepath.Join(path, string(key)), 60_000); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, data[:60_000]) {
		t.Errorf("read of a file that was cut short: %d bytes, %v", len(got), err)
	}
	if _, err := b.Get(t.Context(), key, 0, int64(len(data))); !errors.Is(err, store.ErrRange) {
		t.Errorf("get of bytes that are gone: %v", err)
	}
}

// TestDamagedMark: it is reported, not replaced.
func TestDamagedMark(t *testing.T) {
	for _, text := range []string{"", "{", "{}", `{"installation": 7}`, "\x00\x00\x00\x00"} {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, "STORE"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b := open(t, local.Config{Path: path})
		s := store.New("disk", b, store.Options{})
		err := s.Claim(t.Context(), "me", false)
		if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("mark %q: claim: %v", text, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
