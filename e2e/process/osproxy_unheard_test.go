//go:build postgres && linux

package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestPostgresImportOsproxyUnheard: an import whose lines or whose summary nobody
// takes ends with 1 and says so, and the same again goes on.
func TestPostgresImportOsproxyUnheard(t *testing.T) {
	server, _ := postgres(t, false)
	o := newOsproxy(t, server, "unheard")
	f := newFolders(t, "sqlite")
	o.onFolder(f.root)
	data := harness.Content(1, 300)
	o.has(o.uploaded("a.png", data, nil), data)
	outputs := map[string]func() *os.File{
		"a full disk": func() *os.File {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			return full
		},
		"a pipe that nobody reads": func() *os.File {
			from, to, err := os.Pipe()
			if err == nil {
				err = from.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			return to
		},
	}
	unheard := func(what string, args ...string) {
		t.Helper()
		for name, output := range outputs {
			to := output()
			cmd := exec.Command(bin.OSPD, append([]string{"import-osproxy", "--dsn", o.dsn}, f.args(args...)...)...)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = to, &said
			err := cmd.Run()
			if cerr := to.Close(); cerr != nil {
				t.Fatal(cerr)
			}
			if cmd.ProcessState.ExitCode() != 1 || strings.Count(said.String(), "cannot be printed") != 1 {
				t.Errorf("%s, to %s, %v: %v, %s", what, name, args, err, said.String())
			}
		}
	}
	for _, args := range [][]string{{"--dry-run"}, {"--dry-run", "--json"}, nil, {"--json"}} {
		unheard("the summary", args...)
	}
	exit, _, sum := o.imports(f.args()...)
	o.counts(sum, map[string]int{"already": 1})
	if exit != 0 {
		t.Errorf("exit %d: %v", exit, sum)
	}
	// A line that nobody took is printed by the next import.
	o.uploaded("lost.png", data, func(r *osproxyRow) { r.file = "lost.png" })
	for _, args := range [][]string{{"--dry-run"}, {"--json"}} {
		unheard("a row", args...)
	}
	exit, rows, sum := o.imports(f.args()...)
	o.counts(sum, map[string]int{"already": 1, "missing": 1})
	if exit != 7 || len(rows) != 1 {
		t.Errorf("exit %d: %s", exit, fmt.Sprint(rows, sum))
	}
}
