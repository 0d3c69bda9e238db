// Package watch is osp as the scripts of e2e run it: each run is written down
// with what could be seen of it, and held to the rules of output by the test that
// ran the script. The program is e2e/watch/osp, which has nothing of the daemon or
// of the tests in it: scripts start it a thousand times.
package watch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	osp "github.com/osproxy/osproxy/cmd/osp/cli"
)

// Variable names, in the environment, the file in which runs are written down.
const Variable = "E2E_RUNS"

// most is how much of an output is kept: it is content if there is more.
const most = 1 << 20

// Run is what can be seen of one run of osp.
type Run struct {
	Args           []string
	Exit           int
	Stdout, Stderr []byte
	// Cut says that more was printed than most bytes, and only so many are here.
	Cut bool
	// Made are the files that are new in the working directory.
	Made []string
	// JSON is OSP_JSON.
	JSON string
	// Error is what kept the working directory from being looked at.
	Error string
}

// Main is osp, which is written down. What cannot be is a panic, so that the
// script fails.
func Main(args, environ []string) int {
	var stdout, stderr copied
	before, err := inFolder(environ)
	code := osp.Main(args, os.Stdin, io.MultiWriter(os.Stdout, &stdout), io.MultiWriter(os.Stderr, &stderr), environ)
	after, err2 := inFolder(environ)
	r := Run{Args: args, Exit: code, Stdout: stdout.bytes(), Stderr: stderr.bytes(),
		Cut: stdout.more || stderr.more, JSON: valueOf(environ, "OSP_JSON")}
	r.Made = slices.DeleteFunc(after, func(name string) bool { return slices.Contains(before, name) })
	if err = errors.Join(err, err2); err != nil {
		r.Error = err.Error()
	}
	if err := r.write(valueOf(environ, Variable)); err != nil {
		panic(fmt.Sprintf("osp %q (exit %d): %v", args, code, err))
	}
	return code
}

// write adds the run to a file to which other runs may be added at once: a line
// is one write.
func (r Run) write(path string) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// Runs are those in a file, in the order in which they ended; none where there
// is no file.
func Runs(path string) ([]Run, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var runs []Run
	for d := json.NewDecoder(f); ; {
		var r Run
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return runs, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		runs = append(runs, r)
	}
}

// copied keeps the beginning of what is written to it. A verb may still write when Main has
// returned, after a second signal.
type copied struct {
	mu  sync.Mutex
	all bytes.Buffer
	// more was written than is kept.
	more bool
}

func (c *copied) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := min(len(p), most-c.all.Len())
	c.all.Write(p[:keep])
	c.more = c.more || keep < len(p)
	return len(p), nil
}

func (c *copied) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.all.Bytes())
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
