// Package process tests osp and ospd as processes: built, started, killed and
// started again, with proxies between them that stop or lose what passes.
package process

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/e2e/harness"
)

// bin is what TestMain built, once, for every test here.
var bin harness.Binaries

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "osp-e2e")
	if err == nil {
		bin, err = harness.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(status)
}
