//go:build unix

package s3server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/s3server"
)

// TestVersionsArePinnedOnce: .ci/run installs what the tests look for.
func TestVersionsArePinnedOnce(t *testing.T) {
	for _, k := range s3server.Kinds() {
		b, err := os.ReadFile(filepath.Join("../../.ci", k.Name+".version"))
		if err != nil || strings.TrimSpace(string(b)) != k.Version {
			t.Errorf("%s: .ci has version %q, %v, and the tests look for %q", k.Name, b, err, k.Version)
		}
	}
}

func TestMissingServersSayHowToGetThem(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	for _, k := range s3server.Kinds() {
		t.Setenv("OSPD_TEST_"+strings.ToUpper(k.Name), "")
		if _, err := s3server.New(t.Context(), k); err == nil || !strings.Contains(err.Error(), "go install") || !strings.Contains(err.Error(), "@"+k.Version) {
			t.Errorf("%s is missing: %v", k.Name, err)
		}
	}
}
