package protocol

import (
	"os/exec"
	"strings"
	"testing"
)

// Both sides import this package, so what it imports is in every program: the
// standard library, zeebo/xxh3, and the cpuid that picks xxh3's instructions.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	allowed := map[string]bool{
		"github.com/osproxy/osproxy/protocol": true,
		"github.com/zeebo/xxh3":               true,
		"github.com/klauspost/cpuid/v2":       true,
	}
	seen := 0
	for path := range strings.FieldsSeq(string(out)) {
		if !allowed[path] {
			t.Errorf("protocol imports %s", path)
		}
		seen++
	}
	if seen < 2 {
		t.Errorf("go list named %d packages", seen)
	}
}
