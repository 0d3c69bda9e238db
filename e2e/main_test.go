package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	ospd "github.com/osproxy/osproxy/cmd/ospd/cli"
	"github.com/osproxy/osproxy/daemon/meta/metatest"
	"github.com/osproxy/osproxy/e2e/watch"
)

// TestMain makes this test binary stand for both programs, so that scripts run
// them as processes of their own, with the coverage of this run. Where that is not
// counted, they run a smaller osp (smallOSP).
func TestMain(m *testing.M) {
	if err := metatest.InMemory(); err != nil { // e2e/process has a disk
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testscript.Main(m, map[string]func(){
		"osp": func() {
			os.Exit(watch.Main(os.Args[1:], os.Environ()))
		},
		"ospd": func() {
			os.Exit(ospd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}
