package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/watch"
)

// patience bounds what a script waits for. It only decides how late a broken
// build is found out.
const patience = 60 * time.Second

// TestScripts runs testdata/script: every verb, exit code and rule of output
// as a person at a shell would try them. Besides testscript's own there are the
// commands of scriptCommands.
func TestScripts(t *testing.T) {
	smallOSP(t)
	published := sync.OnceValues(schematest.Load)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("OSP_HOME", filepath.Join(env.WorkDir, ".osp"))
			env.Setenv("OSP_SERVER", "http://127.0.0.1:1") // nobody listens there
			env.Setenv("NO_PROXY", "*")
			tb, ok := env.T().(testing.TB)
			if !ok {
				return errors.New("scripts are run by testscript.Run")
			}
			env.Values[daemonKey{}] = &scriptDaemon{t: tb, data: filepath.Join(env.WorkDir, ".ospd")}
			env.Values[faultKey{}] = &fault{}
			env.Values[schemasKey{}] = published
			return watchScript(env, published)
		},
		Cmds: scriptCommands(),
	})
}

// scriptCommands are the commands that scripts have on top of testscript's.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"daemon":  cmdDaemon,
		"exits":   cmdExits,
		"signal":  cmdSignal,
		"fault":   cmdFault,
		"random":  cmdRandom,
		"flip":    cmdFlip,
		"setenv":  cmdSetenv,
		"setuid":  cmdSetUID,
		"setid":   cmdSetID,
		"empty":   cmdEmpty,
		"json":    cmdJSON,
		"plain":   cmdPlain,
		"until":   cmdUntil,
		"many":    cmdMany,
		"nowhere": cmdNowhere,
		"save":    cmdSave,
		"poke":    cmdPoke,
		"url":     cmdURL,
	}
}

type daemonKey struct{}

// scriptDaemon is the ospd of one script.
type scriptDaemon struct {
	t      testing.TB
	data   string
	starts int
	cmd    *exec.Cmd
	log    bytes.Buffer
	// ended is closed when it has ended.
	ended chan struct{}
}

// cmdDaemon is `daemon start [NAME=VALUE...]`, with these in its environment,
// `daemon stop` and `daemon kill`. Each start is on the same data folder and a new port, which OSP_SERVER then names.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	d, ok := ts.Value(daemonKey{}).(*scriptDaemon)
	if !ok || neg || len(args) < 1 || len(args) > 1 && args[0] != "start" {
		ts.Fatalf("usage: daemon start [NAME=VALUE...]|stop|kill")
	}
	switch args[0] {
	case "start":
		if d.starts == 0 {
			ts.Defer(func() { d.end(os.Kill) })
		}
		ts.Setenv("OSP_SERVER", d.start(ts, args[1:]))
	case "stop":
		if err := d.end(syscall.SIGTERM); err != nil {
			ts.Fatalf("ospd did not stop cleanly: %v\n%s", err, d.log.String())
		}
	case "kill":
		d.end(os.Kill)
	default:
		ts.Fatalf("daemon: unknown %q", args[0])
	}
}

func (d *scriptDaemon) start(ts *testscript.TestScript, env []string) string {
	d.starts++
	ready := fmt.Sprintf("%s.ready%d", d.data, d.starts)
	d.cmd = exec.Command("ospd", "serve", "--listen", "127.0.0.1:0", "--data", d.data, "--ready-file", ready)
	d.cmd.Env = append(os.Environ(), env...)
	d.log.Reset()
	d.cmd.Stderr = &d.log
	ts.Check(d.cmd.Start())
	d.ended = make(chan struct{})
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if url, err := os.ReadFile(ready); err == nil {
			return harness.Tapped(d.t, strings.TrimSpace(string(url)), d.ended)
		}
	}
	d.end(os.Kill)
	ts.Fatalf("ospd is not ready:\n%s", d.log.String())
	return ""
}

// end ends the daemon, if it runs, and waits for it.
func (d *scriptDaemon) end(sig os.Signal) error {
	if d.cmd == nil {
		return nil
	}
	err := d.cmd.Process.Signal(sig)
	if werr := d.cmd.Wait(); err == nil {
		err = werr
	}
	d.cmd = nil
	close(d.ended)
	return err
}

// cmdExits is `exits CODE PROGRAM ARG...`: the program must end with that code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	if got := exitCode(err); got != want {
		ts.Fatalf("exit %d (%v), want %d", got, err, want)
	}
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// cmdSignal is `signal INT|TERM CODE PROGRAM ARG...`: once the fault of this
// script holds a request, the program gets the signal and must end with that
// code. Its output goes to the files out and err.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}
	if neg || len(args) < 3 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal INT|TERM CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, ok := ts.Value(faultKey{}).(*fault)
	if !ok || f.held == nil {
		ts.Fatalf("signal needs: fault METHOD PATH hang")
	}
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "OSP_HOME="+ts.Getenv("OSP_HOME"), "OSP_SERVER="+ts.Getenv("OSP_SERVER"),
		"OSP_TOKEN="+ts.Getenv("OSP_TOKEN"), "NO_PROXY=*", watch.Variable+"="+ts.Getenv(watch.Variable))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ts.Check(cmd.Start())
	select {
	case <-f.held:
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	case <-time.After(patience):
		ts.Check(cmd.Process.Kill())
	}
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("out"), stdout.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), stderr.Bytes(), 0o600))
	if got := exitCode(err); got != want {
		ts.Fatalf("exit %d (%v), want %d\nstdout: %s\nstderr: %s", got, err, want, stdout.String(), stderr.String())
	}
}

// cmdRandom is `random FILE SIZE SEED`: a file whose bytes depend on the seed
// alone.
func cmdRandom(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: random FILE SIZE SEED")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	var seed [32]byte
	copy(seed[:], args[2])
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(data) // never fails
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// cmdFlip is `flip`: one bit changes in the middle of the largest object that
// the daemon keeps.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	d, ok := ts.Value(daemonKey{}).(*scriptDaemon)
	if !ok || neg || len(args) != 0 {
		ts.Fatalf("usage: flip")
	}
	paths, err := filepath.Glob(filepath.Join(d.data, "blobs", "*", "*"))
	ts.Check(err)
	var largest string
	var size int64
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > size {
			largest, size = path, info.Size()
		}
	}
	if largest == "" {
		ts.Fatalf("no objects below %s", d.data)
	}
	data, err := os.ReadFile(largest)
	ts.Check(err)
	data[size/2] ^= 1
	ts.Check(os.WriteFile(largest, data, 0o600))
}

// cmdSetenv is `setenv NAME stdout|stderr|FILE`: the variable becomes the first
// word of that text, such as the uid of the last put.
func cmdSetenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setenv NAME stdout|stderr|FILE")
	}
	words := strings.Fields(ts.ReadFile(args[1]))
	if len(words) == 0 {
		ts.Fatalf("%s is empty", args[1])
	}
	ts.Setenv(args[0], words[0])
}

// cmdSetUID is `setuid NAME stdout|FILE`: the variable becomes the uid of the
// first JSON object in that text.
func cmdSetUID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setuid NAME stdout|FILE")
	}
	var o struct{ UID string }
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile(args[1]))).Decode(&o))
	ts.Setenv(args[0], o.UID)
}

// cmdSetID is `setid NAME stdout|FILE`: the variable becomes the id of the
// first JSON object in that text.
func cmdSetID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setid NAME stdout|FILE")
	}
	var o struct{ ID string }
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile(args[1]))).Decode(&o))
	ts.Setenv(args[0], o.ID)
}

// cmdEmpty is `empty DIR`: nothing is in the folder, not even hidden.
func cmdEmpty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: empty DIR")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %v", args[0], entries)
	}
}

// cmdPlain is `plain stdout|stderr|FILE`: the text has no carriage return and
// no escape, and at most a few lines.
func cmdPlain(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		if strings.ContainsAny(text, "\r\x1b\b") == !neg || strings.Count(text, "\n") > 10 {
			ts.Fatalf("%s is not plain: %q", name, text)
		}
	}
}
