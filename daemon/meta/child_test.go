package meta_test

import (
	"context"
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

// startChild runs child in a process of its own and gives what it printed.
func startChild(t *testing.T, path, token string) string {
	exe, err := os.Executable()
	if err != nil {
		t.Error(err)
		return ""
	}
	cmd := exec.CommandContext(t.Context(), exe, token)
	cmd.Env = append(os.Environ(), childDatabase+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the other process: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}
