package local_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/local"
	"github.com/osproxy/osproxy/store/local/record"
)

// closed is a folder in which some names may not be looked at.
type closed struct {
	local.FS
	names []string
}

func (c closed) refuses(name string) error {
	if slices.Contains(c.names, name) {
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return nil
}

func (c closed) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := c.refuses(name); err != nil {
		return nil, err
	}
	return c.FS.ReadDir(name)
}

func (c closed) Stat(name string) (fs.FileInfo, error) {
	if err := c.refuses(name); err != nil {
		return nil, err
	}
	return c.FS.Stat(name)
}

// TestBrowsePastWhatIsClosed: a folder or file that the daemon may not look at is
// found as that, and what lies beside it is found.
func TestBrowsePastWhatIsClosed(t *testing.T) {
	rec := record.New()
	for _, dir := range []string{"a", "b", "b/in", "c", "lost+found"} {
		if err := errors.Join(rec.MakeRoot(), rec.Mkdir(dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a/file", "b/file", "b/in/file", "c/file", "d", "e"} {
		f, err := rec.Open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, local.Config{FS: closed{rec, []string{"b", "d", "lost+found"}}})
	defer b.Close()
	for _, tt := range []struct{ prefix, after, want string }{
		{"", "", "a/file !b/ c/file !d e"},
		{"", "b/", "c/file !d e"},
		{"b/", "", "!b/"},
		{"d", "", "!d"},
		{"", "d", "e"},
		{"b/in/", "", "denied"},
		{"", "b/file", "denied"},
	} {
		var found []string
		for f, err := range b.Browse(t.Context(), tt.prefix, tt.after) {
			switch {
			case errors.Is(err, fs.ErrPermission):
				f.Name = "denied"
			case err != nil:
				t.Fatal(err)
			case errors.Is(f.Err, fs.ErrPermission):
				f.Name = "!" + f.Name
			case f.Err != nil:
				t.Errorf("%s: %v", f.Name, f.Err)
			}
			found = append(found, f.Name)
		}
		if got := strings.Join(found, " "); got != tt.want {
			t.Errorf("browse %q after %q: %s, want %s", tt.prefix, tt.after, got, tt.want)
		}
	}
	if _, err := b.Describe(t.Context(), "d"); !errors.Is(err, fs.ErrPermission) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("describe: %v", err)
	}
}
