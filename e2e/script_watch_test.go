package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	osp "github.com/osproxy/osproxy/cmd/osp/cli"
	"github.com/osproxy/osproxy/docs/schema/schematest"
)

// foundVariable names the file in which a watched osp writes down what it did
// and must not.
const foundVariable = "E2E_FOUND"

// watchScript gives a script such a file, and fails it at its end where
// something is in it.
func watchScript(env *testscript.Env) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("scripts are run by testscript.Run")
	}
	path := filepath.Join(t.TempDir(), "found")
	env.Setenv(foundVariable, path)
	env.Defer(func() {
		if found, err := os.ReadFile(path); err == nil {
			t.Errorf("what osp did in this script and must not:\n%s", found)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return nil
}

// watchedOSP is osp as scripts run it. Whatever a script looks at, each of its
// runs of osp is held to the rules of output: nothing is drawn where no terminal
// is, --json is as published, and only verbs that are there for it write into
// the working directory.
func watchedOSP(args, environ []string) int {
	var stdout, stderr copied
	before, err := inFolder(environ)
	code := osp.Main(args, os.Stdin, io.MultiWriter(os.Stdout, &stdout), io.MultiWriter(os.Stderr, &stderr), environ)
	after, err2 := inFolder(environ)
	r := run{args: args, json: isJSON(args, environ), stdout: stdout.bytes(), stderr: stderr.bytes()}
	r.made = slices.DeleteFunc(after, func(name string) bool { return slices.Contains(before, name) })
	if err = errors.Join(err, err2, r.check()); err != nil {
		note(environ, fmt.Sprintf("osp %q (exit %d): %v\n", args, code, err))
	}
	return code
}

// note writes down what was found. What cannot be written down is not lost: the
// script then fails for the missing folder.
func note(environ []string, text string) {
	f, err := os.OpenFile(valueOf(environ, foundVariable), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
}

// copied keeps what is written to it. A verb may still write when Main has
// returned, after a second signal.
type copied struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (c *copied) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.Write(p)
}

func (c *copied) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.all.Bytes())
}

// run is what can be seen of one run of osp.
type run struct {
	args           []string
	json           bool
	stdout, stderr []byte
	// made are the files that are new in the working directory.
	made []string
}

func (r run) check() error {
	var all []error
	verb, rest := verbOf(r.args)
	if bytes.ContainsAny(r.stderr, drawing) {
		all = append(all, fmt.Errorf("stderr is no terminal and is drawn on: %q", r.stderr))
	}
	if !printsBytes(verb, rest) && bytes.ContainsAny(r.stdout, drawing) {
		all = append(all, fmt.Errorf("stdout is no terminal and is drawn on: %q", r.stdout))
	}
	if r.json && !printsHelp(r.args) {
		if schemas, err := schematest.Load(); err != nil {
			all = append(all, err)
		} else if err := schemas.Output(verb, r.stdout); err != nil {
			all = append(all, fmt.Errorf("--json: %w", err))
		}
	}
	if len(r.made) > 0 && !slices.Contains([]string{"get", "resume", "run", "man"}, verb) {
		all = append(all, fmt.Errorf("it made %q in the working directory", r.made))
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
func isJSON(args, environ []string) bool {
	want, _ := strconv.ParseBool(valueOf(environ, "OSP_JSON"))
	for _, a := range args {
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

func valueOf(environ []string, name string) string {
	value := ""
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// inFolder lists the working directory and all below it, but for what belongs
// to osp itself, to the daemon of the script and to testscript.
func inFolder(environ []string) ([]string, error) {
	own, err := filepath.Abs(valueOf(environ, "OSP_HOME"))
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var names []string
	err = filepath.WalkDir(here, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone while it was listed
			return nil
		case err != nil:
			return err
		case path == own || strings.HasPrefix(name, ".ospd") || name == ".tmp":
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		names = append(names, path)
		return nil
	})
	return names, err
}
