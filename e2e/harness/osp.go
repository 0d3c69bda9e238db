package harness

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// OSP runs the command line against one server, with a state folder of its own.
type OSP struct {
	t      testing.TB
	binary string
	// Server is given as OSP_SERVER; a test may change it between runs.
	Server string
	// Home is OSP_HOME.
	Home string
	// Dir is the working folder of the commands.
	Dir string
}

// NewOSP is a fresh user of server.
func NewOSP(t testing.TB, bin Binaries, server string) *OSP {
	t.Helper()
	return &OSP{t: t, binary: bin.OSP, Server: server, Home: t.TempDir(), Dir: t.TempDir()}
}

// Start runs a command and does not wait for it.
func (o *OSP) Start(args ...string) *Process {
	o.t.Helper()
	env := []string{"OSP_SERVER=" + o.Server, "OSP_HOME=" + o.Home, "OSP_PROGRESS=none"}
	return Start(o.t, env, o.Dir, o.binary, args...)
}

// Run runs a command to its end.
func (o *OSP) Run(args ...string) (exit int, p *Process) {
	o.t.Helper()
	p = o.Start(args...)
	return p.Wait(), p
}

// Put uploads a file that must go up, and returns what osp said of it.
func (o *OSP) Put(path string, args ...string) Result {
	o.t.Helper()
	exit, p := o.Run(append([]string{"put", "--json", path}, args...)...)
	return o.result(exit, p)
}

// Get downloads a file that must come down.
func (o *OSP) Get(uid protocol.UID, path string, args ...string) Result {
	o.t.Helper()
	exit, p := o.Run(append([]string{"get", "--json", uid.String(), "-o", path}, args...)...)
	return o.result(exit, p)
}

func (o *OSP) result(exit int, p *Process) Result {
	o.t.Helper()
	results := Results(o.t, p.Stdout())
	if exit != 0 || len(results) != 1 || !results[0].OK {
		o.t.Fatalf("%s left with %d\nstdout: %s\nstderr: %s", p.cmd, exit, p.Stdout(), p.Stderr())
	}
	return results[0]
}

// Result is a result line of `osp --json` (WIRE 12), as far as tests look at it.
type Result struct {
	Type         string           `json:"type"`
	OK           bool             `json:"ok"`
	Path         string           `json:"path"`
	UID          protocol.UID     `json:"uid"`
	Size         int64            `json:"size"`
	Digest       *protocol.Digest `json:"digest"`
	Outcome      string           `json:"outcome"`
	SentBytes    int64            `json:"sent_bytes"`
	ResumedBytes int64            `json:"resumed_bytes"`
	Verified     bool             `json:"verified"`
	Retries      int              `json:"retries"`
	Transfer     *string          `json:"transfer"`
}

// Results reads the result lines of a run's stdout.
func Results(t testing.TB, stdout string) []Result {
	t.Helper()
	var results []Result
	for line := range strings.Lines(stdout) {
		var kind struct {
			Type string `json:"type"`
			OK   bool   `json:"ok"`
		}
		if err := json.Unmarshal([]byte(line), &kind); err != nil {
			t.Fatalf("stdout of --json holds %q: %v", line, err)
		}
		if kind.Type != "result" {
			continue
		}
		r := Result{OK: kind.OK}
		if kind.OK {
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("result line %q: %v", line, err)
			}
		}
		results = append(results, r)
	}
	return results
}
