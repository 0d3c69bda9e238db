package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/watch"
)

// smallOSP has scripts find e2e/watch/osp first, which starts in a third of the
// time that this test binary takes. Where coverage is counted they find the latter.
func smallOSP(t *testing.T) {
	t.Helper()
	if testing.CoverMode() != "" {
		return
	}
	dir := t.TempDir()
	args := append([]string{"build", "-o", dir}, buildFlags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "github.com/osproxy/osproxy/e2e/watch/osp")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// watchScript has the runs of osp in a script written down, and looks at them at
// its end.
func watchScript(env *testscript.Env, published func() (*schematest.Schemas, error)) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("scripts are run by testscript.Run")
	}
	path := filepath.Join(t.TempDir(), "runs")
	env.Setenv(watch.Variable, path)
	env.Defer(func() {
		runs, err := watch.Runs(path)
		if err != nil {
			t.Error(err)
		}
		for _, r := range runs {
			if err := held(r, published); err != nil {
				t.Errorf("osp %q (exit %d) did what it must not: %v", r.Args, r.Exit, err)
			}
		}
	})
	return nil
}

// held holds a run of osp to the rules of output, whatever its script looks at:
// nothing is drawn where no terminal is, --json is as published, and only verbs
// that are there for it write into the working directory.
func held(r watch.Run, published func() (*schematest.Schemas, error)) error {
	var all []error
	if r.Error != "" {
		all = append(all, errors.New(r.Error))
	}
	verb, rest := verbOf(r.Args)
	if r.Cut && !printsBytes(verb, rest) {
		all = append(all, errors.New("it printed very much"))
	}
	if bytes.ContainsAny(r.Stderr, drawing) {
		all = append(all, fmt.Errorf("stderr is no terminal and is drawn on: %q", r.Stderr))
	}
	if !printsBytes(verb, rest) && bytes.ContainsAny(r.Stdout, drawing) {
		all = append(all, fmt.Errorf("stdout is no terminal and is drawn on: %q", r.Stdout))
	}
	if isJSON(r) && !printsHelp(r.Args) {
		if schemas, err := published(); err != nil {
			all = append(all, err)
		} else if err := schemas.Output(verb, r.Stdout); err != nil {
			all = append(all, fmt.Errorf("--json: %w", err))
		}
	}
	if len(r.Made) > 0 && !slices.Contains([]string{"get", "resume", "run", "man"}, verb) {
		all = append(all, fmt.Errorf("it made %q in the working directory", r.Made))
	}
	return errors.Join(all...)
}

// drawing are the bytes that move a cursor.
const drawing = "\r\x1b\b"

// verbOf is the verb of a command line and what follows it.
func verbOf(args []string) (verb string, rest []string) {
	withValue := []string{"-p", "--profile", "--server", "--progress", "--progress-interval", "--timeout", "--retries",
		"--retry-max-elapsed", "--connections", "--bwlimit"}
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains(withValue, args[i]):
			i++
		case strings.HasPrefix(args[i], "-"):
		case verb == "" && (args[i] == "transfers" || args[i] == "profile" || args[i] == "admin"):
			verb = args[i]
		case verb == "admin" && (args[i] == "jobs" || args[i] == "webhooks"):
			verb += " " + args[i]
		case verb == "":
			return args[i], args[i+1:]
		default:
			return verb + " " + args[i], args[i+1:]
		}
	}
	return verb, nil
}

// printsBytes: standard output is the content of a file, or what the daemon said.
func printsBytes(verb string, rest []string) bool {
	if verb == "cat" || verb == "api" {
		return true
	}
	line := " " + strings.Join(rest, " ") + " "
	return verb == "get" && (strings.Contains(line, " -o - ") || strings.Contains(line, " --output - ") || strings.Contains(line, " --output=- "))
}

// printsHelp: standard output is text, whatever else is asked for.
func printsHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		return slices.Contains([]string{"help", "--help", "-h", "--version", "completion"}, a)
	})
}

// isJSON reports whether the output is to be JSON, as far as scripts ask for
// it: by the flag or by its variable.
func isJSON(r watch.Run) bool {
	want, _ := strconv.ParseBool(r.JSON)
	for _, a := range r.Args {
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, "--json"); ok {
			off, err := strconv.ParseBool(strings.TrimPrefix(v, "="))
			want = err != nil || off
		}
	}
	return want
}
