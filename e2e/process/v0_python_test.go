//go:build servers

package process

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
)

// v0Access lets callers of this machine in as an owner of their own.
const v0Access = "v0_access: {owner: by-address, from: [\"127.0.0.0/8\", \"::1/128\"]}\n"

// v0Scenarios are those of e2e/testdata/v0/scenarios.py that the daemon of
// TestV0ByPython is for.
var v0Scenarios = []string{
	"says", "single", "instant", "chunks", "in_order", "out_of_order", "killed_client", "killed_daemon", "owners", "errors", "expires",
}

// TestV0ByPython: a client of version 0 that was written from its description,
// on Python's standard library alone, does with ospd what it did before, whatever
// becomes of the daemon meanwhile.
func TestV0ByPython(t *testing.T) {
	stores := map[string]func(t *testing.T) string{"local": func(*testing.T) string { return "" }}
	for _, kind := range s3server.Kinds() {
		if kind.Name == "minio" {
			stores[kind.Name] = func(t *testing.T) string {
				return objectStoreText(t, s3server.Start(t, kind)) + "digests: {stores: all}\n"
			}
		}
	}
	if len(stores) != 2 {
		t.Fatal("there is no MinIO among the servers")
	}
	for name, config := range stores {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			token := newToken(t, data, "other")
			d := harness.StartDaemon(t, bin, data, "--config", harness.WriteFile(t, "ospd.yaml", []byte(config(t)+v0Access)))
			for _, scenario := range v0Scenarios {
				t.Run(scenario, func(t *testing.T) { python(t, d, scenario, "other="+token) })
			}
			if exit := d.Stop(); exit != 0 {
				t.Errorf("exit %d:\n%s", exit, d.Stderr())
			}
		})
	}
}

// TestV0WithoutAccess: where v0_access has no address nobody is let in without a
// token, also while there is none.
func TestV0WithoutAccess(t *testing.T) {
	data := t.TempDir()
	d := harness.StartDaemon(t, bin, data)
	python(t, d, "stranger")
	d.Stop()
	token := newToken(t, data, "ann")
	d.Start()
	python(t, d, "stranger", "ann="+token)
}

// newToken makes a token of an owner who may do what clients of version 0 do.
func newToken(t *testing.T, data, owner string) string {
	t.Helper()
	p := harness.Start(t, nil, "", bin.OSPD, "token", "create", "--data", data, "--owner", owner, "--scopes", "file:read,file:write,link:create")
	if exit := p.Wait(); exit != 0 {
		t.Fatalf("token create: %d: %s", exit, p.Stderr())
	}
	return strings.TrimSpace(p.Stdout())
}

// python runs a scenario against the daemon, which it may have killed.
func python(t *testing.T, d *harness.Daemon, scenario string, tokens ...string) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("python3 is not there (apt-get install python3): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{filepath.Join("..", "testdata", "v0", "scenarios.py"), scenario, d.URL}, tokens...)...)
	cmd.Env = append(cmd.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	hears, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := answers(t, d, says, hears)
	if err := cmd.Wait(); err != nil || !done {
		said := d.Stderr()
		t.Errorf("%v\n%s\nospd at last: %s", err, stderr.String(), said[max(0, len(said)-4<<10):])
	}
}

// answers does what the scenario asks for until it ends, and reports whether it
// came to its end.
func answers(t *testing.T, d *harness.Daemon, says io.Reader, hears io.Writer) (done bool) {
	t.Helper()
	for lines := bufio.NewScanner(says); lines.Scan(); {
		switch line := lines.Text(); line {
		case "DONE":
			done = true
		case "KILL":
			d.Kill()
			d.Start()
			if _, err := fmt.Fprintln(hears, d.URL); err != nil {
				t.Error(err)
			}
		default:
			t.Logf("said: %s", line)
		}
	}
	return done
}
