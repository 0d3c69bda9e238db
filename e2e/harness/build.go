// Package harness runs the real osp and ospd as processes: builds them, starts
// a daemon on a free port, kills and restarts it on the same data folder, puts
// proxies with a will of their own between the two, and speaks the wire by
// hand, so that tests of the whole do not depend on the client they test.
package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Binaries are the paths of the two programs.
type Binaries struct {
	OSP  string
	OSPD string
}

// Build compiles both programs into dir, with the build tags given. The Go
// build cache makes this a matter of linking where tests ran before.
func Build(dir string, tags ...string) (Binaries, error) {
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	b := Binaries{OSP: filepath.Join(dir, "osp"+suffix), OSPD: filepath.Join(dir, "ospd"+suffix)}
	for path, pkg := range map[string]string{b.OSP: "osp", b.OSPD: "ospd"} {
		cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-tags", strings.Join(tags, ","), "-o", path, "github.com/osproxy/osproxy/cmd/"+pkg)
		cmd.Env = os.Environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			return Binaries{}, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	return b, nil
}
