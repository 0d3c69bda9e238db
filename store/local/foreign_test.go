//go:build unix

package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/storetest"
	"github.com/osproxy/osproxy/store/storetest/gotest"
)

// shared is a store's folder into which others write, too.
type shared struct {
	*local.Backend
	path string
	// written is when the last file was, in seconds since 2020: a file that is
	// written again within the disk's sense of time looks as it did.
	written atomic.Int64
}

var _ storetest.ForeignPutter = (*shared)(nil)

// PutForeign is storetest.ForeignPutter's. A name that is not the one spelling
// of a path is none here.
func (s *shared) PutForeign(_ context.Context, name, _ string, data []byte) error {
	rel, err := filepath.Localize(name)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnsupported, err)
	}
	path := filepath.Join(s.path, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(s.written.Add(1)) * time.Second)
	return os.Chtimes(path, at, at)
}

func TestConformanceBesideForeignFiles(t *testing.T) {
	gotest.Run(t, func(t *testing.T) store.Backend {
		dir := t.TempDir()
		return &shared{Backend: open(t, local.Config{Path: dir}), path: dir}
	})
}

// Symbolic links, pipes and what is ospd's own are no foreign objects, whatever
// they are called, and nothing is read through them.
func TestForeignObjectsAreFilesInTheFolder(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	b := &shared{Backend: open(t, local.Config{Path: dir}), path: dir}
	defer b.Close()
	if err := b.SetMark(ctx, "me"); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	own, halfMark := store.NewKey("00000001"), "STORE.ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, err := range []error{
		os.WriteFile(outside, []byte("secret"), 0o600),
		b.PutForeign(ctx, "in/file.txt", "", []byte("abc")),
		os.Symlink(outside, filepath.Join(dir, "link")),
		os.Symlink(filepath.Dir(outside), filepath.Join(dir, "in", "dir")),
		os.Symlink("in/file.txt", filepath.Join(dir, "inner")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		b.MakeDir(ctx, own.Dir()),
		os.WriteFile(filepath.Join(dir, string(own)), nil, 0o600),
		os.WriteFile(filepath.Join(dir, halfMark), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for f, err := range b.Browse(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"in/file.txt"}) {
		t.Errorf("found %q", names)
	}
	for _, name := range []string{"link", "inner", "pipe", "in", "STORE", halfMark, string(own), string(own.Dir()), "in/file.txt/x", "../outside"} {
		if _, err := b.Get(ctx, store.ForeignKey(name), 0, -1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get of %s: %v", name, err)
		}
		if _, err := b.OpenFile(ctx, store.ForeignKey(name)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("open of %s: %v", name, err)
		}
		if err := b.Delete(ctx, store.ForeignKey(name)); err != nil {
			t.Errorf("delete of %s: %v", name, err)
		}
	}
	if r, err := b.Get(ctx, store.ForeignKey("in/dir/outside"), 0, -1); err == nil {
		t.Errorf("read through a link: %v", r.Close())
	}
	if mark, err := b.Mark(ctx); mark != "me" || err != nil {
		t.Errorf("mark %q, %v", mark, err)
	}
}

func TestFolder(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	for _, name := range []string{"00000001", "STORE", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := local.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for found, err := range f.Browse(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found.Name)
	}
	if !slices.Equal(names, []string{"00000001", "STORE", "b"}) {
		t.Errorf("found %q", names)
	}
	r, err := f.Read(ctx, "STORE", 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if n, _ := r.Read(got); string(got[:n]) != "TOR" {
		t.Errorf("read %q", got[:n])
	}
	if err := errors.Join(r.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if _, err := local.OpenFolder(filepath.Join(dir, "none")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
