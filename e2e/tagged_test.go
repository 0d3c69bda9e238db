package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTaggedPackages: every package that has a test by a build tag, or is tested
// with what is another by it, is among those that `make test-all` runs with it.
func TestTaggedPackages(t *testing.T) {
	for tag, patterns := range map[string][]string{"servers": {"./e2e/...", "./store/..."}, "postgres": {"./daemon/..."}} {
		cmd := exec.CommandContext(t.Context(), "sh", append([]string{"scripts/tagged.sh", tag}, patterns...)...)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		listed := strings.Fields(string(out))
		want := foldersOf(t, tag, patterns)
		if tag == "postgres" {
			want = append(want, foldersThatSay(t, "metatest.OnServer(", patterns)...)
		}
		for _, folder := range want {
			if !slices.Contains(listed, module+"/"+folder) {
				t.Errorf("%s is not run with the tag %s", folder, tag)
			}
		}
		if len(want) < 5 {
			t.Errorf("the tag %s is of %v", tag, want)
		}
	}
}

// foldersOf are those that have a test's file with the build tag.
func foldersOf(t *testing.T, tag string, patterns []string) []string {
	t.Helper()
	return foldersWhere(t, patterns, func(text []byte) bool {
		line, _, _ := bytes.Cut(text, []byte("\n"))
		return bytes.HasPrefix(line, []byte("//go:build ")) && bytes.Contains(line, []byte(tag))
	})
}

func foldersThatSay(t *testing.T, word string, patterns []string) []string {
	t.Helper()
	return foldersWhere(t, patterns, func(text []byte) bool { return bytes.Contains(text, []byte(word)) })
}

func foldersWhere(t *testing.T, patterns []string, is func(text []byte) bool) (folders []string) {
	t.Helper()
	for _, pattern := range patterns {
		top := filepath.Join(root, strings.TrimSuffix(pattern, "/..."))
		err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), "go.mod")); err == nil {
				return nil // a module of its own
			}
			text, err := os.ReadFile(name)
			if err != nil || !is(text) {
				return err
			}
			folder, err := filepath.Rel(root, filepath.Dir(name))
			folders = append(folders, path.Clean(filepath.ToSlash(folder)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return folders
}
