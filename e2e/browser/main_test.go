//go:build servers

package browser

import (
	"fmt"
	"os"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// bin is what TestMain built, once, for every test here.
var bin harness.Binaries

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "osp-browser")
	if err == nil {
		bin, err = harness.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}
