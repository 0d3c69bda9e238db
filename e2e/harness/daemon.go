package harness

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Daemon is an ospd process on a data folder. It can be stopped, killed and
// started again on the same folder.
type Daemon struct {
	*Process
	// URL is where it is found, through a tap that looks at each answer; a restart
	// changes it.
	URL string
	// Data is its data folder.
	Data string

	t      testing.TB
	binary string
	args   []string
}

// StartDaemon runs `ospd serve` on data and returns when it is ready.
func StartDaemon(t testing.TB, bin Binaries, data string, args ...string) *Daemon {
	t.Helper()
	d := &Daemon{Data: data, t: t, binary: bin.OSPD, args: args}
	d.Start()
	return d
}

// Start starts a daemon that has ended, with env added for this run only.
func (d *Daemon) Start(env ...string) {
	d.t.Helper()
	ready := d.launch(env)
	Eventually(d.t, "the daemon writes its ready file\n"+d.Stderr(), func() bool {
		select {
		case <-d.Done():
			d.t.Fatalf("ospd ended at start-up with %d:\n%s", d.Wait(), d.Stderr())
		default:
		}
		url, err := os.ReadFile(ready)
		d.URL = strings.TrimSpace(string(url))
		return err == nil && strings.HasPrefix(d.URL, "http://") && strings.HasSuffix(string(url), "\n")
	})
	d.URL = Tapped(d.t, d.URL, d.Done())
}

// launch starts the process and does not wait for it.
func (d *Daemon) launch(env []string) (ready string) {
	d.t.Helper()
	ready = filepath.Join(d.t.TempDir(), "ready")
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", d.Data, "--ready-file", ready}, d.args...)
	d.Process = Start(d.t, env, "", d.binary, args...)
	return ready
}

// Refused starts an ospd that must not come up, and returns its exit code and
// what it said.
func Refused(t testing.TB, bin Binaries, data string, args ...string) (exit int, stderr string) {
	t.Helper()
	d := &Daemon{Data: data, t: t, binary: bin.OSPD, args: args}
	d.launch(nil)
	exit = d.Wait()
	return exit, d.Stderr()
}

// Stop ends the daemon with SIGTERM and returns its exit code.
func (d *Daemon) Stop() int {
	d.t.Helper()
	d.Signal(syscall.SIGTERM)
	return d.Wait()
}

// API speaks to the daemon by hand.
func (d *Daemon) API() *API { return NewAPI(d.t, d.URL) }

// Fsck runs `ospd fsck` on a data folder without a running daemon.
func Fsck(t testing.TB, bin Binaries, data string, args ...string) (exit int, output string) {
	t.Helper()
	p := Start(t, nil, "", bin.OSPD, append([]string{"fsck", "--data", data}, args...)...)
	exit = p.Wait()
	return exit, p.Stdout() + p.Stderr()
}

// Blobs are the paths of all objects under the default store of data.
func Blobs(t testing.TB, data string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(data, "blobs", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var blobs []string
	for _, path := range paths {
		if len(filepath.Base(path)) == 32 {
			blobs = append(blobs, path)
		}
	}
	return blobs
}
