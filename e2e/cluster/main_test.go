//go:build servers && linux

// Package cluster tests several ospd on one Postgres as processes: what clients
// see of them is one service, whichever they ask, while nodes are killed, stopped
// and started again, and what lies between them breaks.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/osproxy/osproxy/e2e/harness"
)

// bin is what users get, unlocked a build whose commit locks nothing
// (daemon/meta/commitunlocked.go). TestMain builds both, once, for every test here.
var bin, unlocked harness.Binaries

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == cutOff {
		fmt.Fprintln(os.Stderr, runCutOff(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == wrongClock {
		fmt.Fprintln(os.Stderr, runOnWrongClock(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "osp-cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	var uerr error
	bin, err = harness.Build(filepath.Join(dir, "usual"))
	unlocked, uerr = harness.Build(filepath.Join(dir, "unlocked"), unlockedTag)
	if err := errors.Join(err, uerr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return status
}
