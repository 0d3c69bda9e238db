package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/protocol"
)

// ospd runs one command and returns its exit code and what it printed.
func ospd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Main(args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func TestWrongUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"an unknown verb":         {"server"},
		"an unknown flag":         {"serve", "--nope"},
		"an argument":             {"serve", "now"},
		"fsck with an argument":   {"fsck", "now"},
		"a listener for everyone": {"--data", t.TempDir(), "--listen", "0.0.0.0:0"},
		"of no store":             {"gc", "--data", t.TempDir(), "--end-uploads"},
		"gone from no store":      {"gc", "--data", t.TempDir(), "--gone-from", "0123"},
		"a list as JSON":          {"gc", "--data", t.TempDir(), "--forget-store", "one", "--files", "--json"},
		"a file that is not":      {"--config", filepath.Join(t.TempDir(), "none.yaml")},
		"a time that is none":     {"--data", t.TempDir(), "--drain-timeout", "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := ospd(t, args...)
			if code != exitConfig || stdout != "" || !strings.HasPrefix(stderr, "ospd: ") {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

// TestFlagsAreTheSameWithoutAVerb: ospd --data DIR is ospd serve --data DIR.
func TestFlagsAreTheSameWithoutAVerb(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{nil, {"serve"}} {
		code, _, stderr := ospd(t, append(verb, "--data", file, "--listen", "127.0.0.1:0")...)
		if code != exitDatabase || !strings.Contains(stderr, file) {
			t.Errorf("%v: exit %d, stderr %q", verb, code, stderr)
		}
	}
}

// TestHints: what to do about an error is said with it, once.
func TestHints(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "meta.db"), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"fsck"}, {"serve", "--listen", "127.0.0.1:0"}, {"token", "list"}} {
		code, _, stderr := ospd(t, append(args, "--data", data)...)
		if code != exitDatabase || strings.Count(stderr, "\nospd: Stop the daemon, check the disk") != 1 {
			t.Errorf("%v: exit %d, stderr %q", args, code, stderr)
		}
	}
}

func TestExitCodes(t *testing.T) {
	stage := func(s daemon.Stage) error {
		return fmt.Errorf("start: %w", &daemon.Error{Stage: s, Err: errors.New("x")})
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("anything else"), exitOther},
		{usageError{errors.New("x")}, exitConfig},
		{stage(daemon.StageConfig), exitConfig},
		{stage(daemon.StageLock), exitDatabase},
		{stage(daemon.StageDatabase), exitDatabase},
		{stage(daemon.StageStore), exitStore},
		{stage(daemon.StageListener), exitListener},
		{stage(daemon.StageDrain), exitDrain},
		{errFindings, exitFindings},
		{fmt.Errorf("import: %w", protocol.Errorf(protocol.KindQuotaExceeded, "x")), exitQuota},
		{runningError{stage(daemon.StageLock)}, exitRunning},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit %d, want %d", c.err, got, c.want)
		}
	}
}

func TestFsckOfNothing(t *testing.T) {
	code, stdout, stderr := ospd(t, "fsck", "--data", filepath.Join(t.TempDir(), "none"))
	if code != exitDatabase || stdout != "" || !strings.Contains(stderr, "no ospd has used") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := ospd(t, "version", "--json")
	var v struct{ Version, Commit, Go string }
	if err := json.Unmarshal([]byte(stdout), &v); code != exitDone || err != nil || v.Version == "" || v.Go == "" {
		t.Errorf("exit %d, %q, %v", code, stdout, err)
	}
	if code, stdout, _ := ospd(t, "version"); code != exitDone || !strings.HasPrefix(stdout, "ospd "+v.Version) {
		t.Errorf("exit %d, %q", code, stdout)
	}
}

// TestFilesOfAStore: they are listed of a store that is known, and nothing else is done.
func TestFilesOfAStore(t *testing.T) {
	data := t.TempDir()
	if code, _, stderr := ospd(t, "token", "create", "--data", data, "--owner", "o", "--scopes", "admin"); code != exitDone {
		t.Fatal(stderr)
	}
	code, stdout, stderr := ospd(t, "gc", "--data", data, "--forget-store", "gone", "--files")
	if code != exitConfig || stdout != "" || !strings.Contains(stderr, `this installation knows no store "gone"`) {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
