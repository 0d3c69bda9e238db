package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	osp "github.com/osproxy/osproxy/cmd/osp/cli"
)

// TestReleasePacksTheManual: what the release runs before it packs makes a
// completion for each shell and a page for each verb, the same at every run, and
// the archives of osp take them.
func TestReleasePacksTheManual(t *testing.T) {
	release := readDocument(t, "goreleaser.yaml")
	for _, want := range []string{"- sh scripts/packaged.sh . {{ .Version }} {{ .CommitDate }}\n", "files: [LICENSE, README.md, README.zh-CN.md, completions/*, manpages/*]\n"} {
		if !strings.Contains(release, want) {
			t.Errorf("goreleaser.yaml does not have %q", want)
		}
	}
	pages := t.TempDir()
	if code := osp.Main([]string{"man", pages}, strings.NewReader(""), io.Discard, io.Discard, nil); code != 0 {
		t.Fatalf("osp man: exit %d", code)
	}
	want := []string{"completions/_osp", "completions/osp.bash", "completions/osp.fish", "completions/osp.ps1"}
	for _, name := range filesIn(t, pages) {
		want = append(want, "manpages/"+name+".gz")
	}
	first, second := packaged(t), packaged(t)
	for _, dir := range []string{first, second} {
		if got := filesIn(t, dir); !slices.Equal(got, want) {
			t.Errorf("there are %v, want %v", got, want)
		}
	}
	for _, name := range want {
		if !bytes.Equal(content(t, filepath.Join(first, name)), content(t, filepath.Join(second, name))) {
			t.Errorf("%s differs from run to run", name)
		}
	}
	page, err := gzip.NewReader(bytes.NewReader(content(t, filepath.Join(first, "manpages/osp-put.1.gz"))))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(page)
	if err != nil || !bytes.HasPrefix(text, []byte(`.TH "OSP\-PUT" "1" "2026\-11\-22" "osp 1.2.3" "osp"`)) {
		t.Errorf("the page of put begins %.80q, %v", text, err)
	}
}

// packaged runs the script of the release.
func packaged(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", "scripts/packaged.sh", dir, "1.2.3", "2026-11-22T10:00:00Z")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/packaged.sh: %v\n%s", err, out)
	}
	return dir
}

// filesIn are the names of all files below dir, in order.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
