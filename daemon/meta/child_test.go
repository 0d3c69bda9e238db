package meta_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
)

// childDatabase names the database on which a child of the tests makes a
// token, as `ospd token create` does beside a daemon that runs.
const childDatabase = "META_TEST_CHILD_DATABASE"

// child opens the database, a path or a URL, makes a token, and prints the installation's id
// and pepper.
func child(path, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg := meta.Config{Path: path}
	if strings.HasPrefix(path, "postgres://") {
		cfg = meta.Config{URL: path}
	}
	db, err := meta.Open(ctx, cfg)
	if err != nil {
		return err
	}
	id, err := db.ServerID(ctx)
	if err != nil {
		return err
	}
	pepper, err := db.TokenPepper(ctx)
	if err != nil {
		return err
	}
	if err := db.CreateToken(ctx, meta.Token{ID: token, Owner: "alice"}); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	fmt.Printf("%s %x\n", id, pepper)
	return nil
}

// childCopy names a database to copy, where to, and at which table to die, with
// spaces between.
const childCopy = "META_TEST_CHILD_COPY"

// copyAndDie copies, and is killed when it tells of a table for the n-th time.
func copyAndDie(what string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var path, url string
	var n int
	if _, err := fmt.Sscan(what, &path, &url, &n); err != nil {
		return err
	}
	db, err := meta.Open(ctx, meta.Config{Path: path})
	if err != nil {
		return err
	}
	_, err = db.CopyTo(ctx, meta.CopyConfig{URL: url, Progress: func(meta.CopiedTable, bool) {
		if n--; n == 0 {
			_ = die()
		}
	}})
	return errors.Join(err, db.Close())
}

// die kills this process, as nobody can handle.
func die() error {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err == nil {
		select {}
	}
	return err
}

// startLoggedChild runs child in a process of its own and gives what it printed
// and what it logged.
func startLoggedChild(t *testing.T, path, token string) (out, logged string) {
	exe, err := os.Executable()
	if err != nil {
		t.Error(err)
		return "", ""
	}
	cmd := exec.CommandContext(t.Context(), exe, token)
	cmd.Env = append(os.Environ(), childDatabase+"="+path)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("the other process: %v: %s%s", err, &stdout, &stderr)
	}
	return strings.TrimSpace(stdout.String()), stderr.String()
}
