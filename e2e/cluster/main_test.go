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
// (daemon/meta/commitunlocked.go), mortal one that dies where it is told to.
// TestMain builds them, once, for every test here.
var bin, unlocked, mortal harness.Binaries

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
	var errs [3]error
	bin, errs[0] = harness.Build(filepath.Join(dir, "usual"))
	unlocked, errs[1] = harness.Build(filepath.Join(dir, "unlocked"), unlockedTag)
	mortal, errs[2] = harness.Build(filepath.Join(dir, "mortal"), "crashpoints")
	if err := errors.Join(errs[:]...); err != nil {
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
