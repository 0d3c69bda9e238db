package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

// TestUsedCountsChildren has a child of a child take CPU time.
func TestUsedCountsChildren(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: cmd}
	err := until(ctx, func() bool {
		used, err := s.used()
		return err == nil && used.cpu > 2*tick && used.peak > 0
	})
	if family, _ := familyOf("/proc", cmd.Process.Pid); len(family) == 2 {
		_ = (&os.Process{Pid: family[1].pid}).Kill()
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Error("the CPU time of a child is not seen")
	}
}
