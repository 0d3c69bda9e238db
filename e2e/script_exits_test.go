package e2e

import (
	"bytes"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	osp "github.com/osproxy/osproxy/cmd/osp/cli"
)

// TestScriptsReachEveryExitCode: each exit code that `osp help exit-codes` has
// is what some script demands of osp, and no script demands another. That the
// demand is met is what TestScripts says.
func TestScriptsReachEveryExitCode(t *testing.T) {
	var text bytes.Buffer
	if code := osp.Main([]string{"help", "exit-codes"}, strings.NewReader(""), &text, io.Discard, nil); code != 0 {
		t.Fatalf("osp help exit-codes: exit %d", code)
	}
	demanded := demandedExits(t)
	documented := map[int]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ *(\d+)  \S`).FindAllStringSubmatch(text.String(), -1) {
		code, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		documented[code] = true
		if demanded[code] == "" {
			t.Errorf("no script has osp end with %d", code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(demanded)) {
		if !documented[code] {
			t.Errorf("%s demands exit %d, which osp help exit-codes does not have", demanded[code], code)
		}
	}
	if len(documented) < 15 {
		t.Errorf("%d exit codes are documented: %v", len(documented), documented)
	}
}

// demandedExits are the codes that scripts demand of osp, each with one of them.
func demandedExits(t *testing.T) map[int]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d scripts, %v", len(paths), err)
	}
	demands := regexp.MustCompile(`(?m)^(?:exits|until|signal [A-Z]+) (\d+) osp\b`)
	codes := map[int]string{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^exec osp\b`).Match(archive.Comment) {
			codes[0] = path
		}
		for _, m := range demands.FindAllSubmatch(archive.Comment, -1) {
			code, err := strconv.Atoi(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			codes[code] = path
		}
	}
	return codes
}
