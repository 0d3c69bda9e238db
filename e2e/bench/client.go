package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cpuTime is the CPU time that a client took, user and system.
type cpuTime = time.Duration

// command is the job of running a program to its end.
func command(cmd *exec.Cmd) job {
	return func(context.Context) (cpuTime, error) {
		var said bytes.Buffer
		if cmd.Stdout == nil {
			cmd.Stdout = io.Discard
		}
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%s %s: %w: %s", filepath.Base(cmd.Path), cmd.Args[1], err, strings.TrimSpace(said.String()))
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
	}
}

// discarded sends what a program prints to nowhere, without a pipe between.
func discarded(c *exec.Cmd) *exec.Cmd {
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		c.Stdout = null
	}
	return c
}

// curl is the job of one transfer, discarding what comes back unless told
// where it goes.
func curl(args ...string) job {
	return func(ctx context.Context) (cpuTime, error) {
		return command(discarded(exec.CommandContext(ctx, "curl", append([]string{"-sSf"}, args...)...)))(ctx)
	}
}

// curlMany is the job of many transfers by one curl, so many at once. Each is
// a pair of an option with a file, and the URL. config is where the list of
// them is written, before the job begins.
func curlMany(config, option string, atOnce int, files, urls []string) job {
	text := &strings.Builder{}
	for i, f := range files {
		fmt.Fprintf(text, "%s = %q\nurl = %q\n", option, f, urls[i])
	}
	written := os.WriteFile(config, []byte(text.String()), 0o600)
	return func(ctx context.Context) (cpuTime, error) {
		if written != nil {
			return 0, written
		}
		return command(exec.CommandContext(ctx, "curl", "-sSf", "--fail-early", "--parallel", "--parallel-max", fmt.Sprint(atOnce), "-K", config))(ctx)
	}
}
