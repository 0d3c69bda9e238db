package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestMakeFolder: each folder that is made has its name on the disk before
// anything is made in it, and what is there already is left alone.
func TestMakeFolder(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "a", "b", "data")
	var synced []string
	sync := func(folder string) error {
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s was synced with %d folders in it, %v", folder, len(entries), err)
		} else if below, err := os.ReadDir(filepath.Join(folder, entries[0].Name())); err != nil || len(below) != 0 {
			t.Errorf("%s was synced after something was made below, %v", folder, err)
		}
		synced = append(synced, folder)
		return nil
	}
	for range 2 {
		if err := makeFolder(path, sync); err != nil {
			t.Fatal(err)
		}
		if want := []string{top, filepath.Dir(filepath.Dir(path)), filepath.Dir(path)}; !slices.Equal(synced, want) {
			t.Errorf("synced %q, want %q", synced, want)
		}
	}
	failure := errors.New("the disk is gone")
	if err := makeFolder(filepath.Join(path, "more"), func(string) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(path, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if err := makeFolder(bad, sync); err == nil {
			t.Errorf("%s was made below a file", bad)
		}
	}
	if err := (&Config{Data: filepath.Join(top, "real", "data")}).makeData(); err != nil {
		t.Error(err)
	}
}
