//go:build servers

package process

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestDemoCluster runs what `make demo-cluster` runs, with the binaries of this
// test.
func TestDemoCluster(t *testing.T) {
	p := harness.Start(t, []string{"OSP_BIN=" + filepath.Dir(bin.OSP)}, "../..", "sh", "scripts/demo-cluster.sh")
	if exit := p.Wait(); exit != 0 || !strings.HasSuffix(p.Stdout(), "\nDemo done.\n") || strings.Count(p.Stdout(), "\nidentical\n") != 1 {
		t.Errorf("exit %d\n%s\n%s", exit, p.Stdout(), p.Stderr())
	}
}
