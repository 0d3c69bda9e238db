// Package predecessor shows, row by row, that ospd is free of the defects that
// were found in the file service it takes the place of. A test is named after
// its row; rows_test.go lists all of them. Most share one daemon in this process
// (site_test.go), as strangers to it: what they know of it is what it answers.
package predecessor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	ospd "github.com/osproxy/osproxy/cmd/ospd/cli"
	"github.com/osproxy/osproxy/e2e/harness"
)

// shared is the daemon of all tests that need none of their own.
var shared *site

// TestMain makes this binary stand for ospd where it is called so, which saves
// building one; called ospd-east it lives where clocks show eight hours more.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, "ospd") {
		if name == "ospd-east" {
			time.Local = time.FixedZone("east", 8*60*60)
		}
		os.Exit(ospd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "whereabouts-of-bytes")
	if err == nil {
		defer os.RemoveAll(dir)
		shared, err = startSite(dir, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// fasthttp has two goroutines that end on their own time or never.
	err = goleak.Find(
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
	if status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// program is this binary under the name given, as harness runs it.
func program(t *testing.T, name string) harness.Binaries {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return harness.Binaries{OSPD: path}
}
