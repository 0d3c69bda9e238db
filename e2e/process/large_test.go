//go:build servers

package process

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
)

// TestLargeFile puts and gets one large file, and on the way kills osp once
// and the daemon once in each direction. OSP_E2E_LARGE_MIB sets the size;
// `make soak` asks for 10 GiB and docs/performance.md has its figures.
func TestLargeFile(t *testing.T) {
	size := largeSize(t)
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "out", "target")
	if err := os.Mkdir(filepath.Dir(target), 0o700); err != nil {
		t.Fatal(err)
	}
	sum := harness.WriteContent(t, source, 512, size)
	d := harness.StartDaemon(t, bin, filepath.Join(dir, "data"))

	began := time.Now()
	put := bothDie(t, d, harness.Up, size, "put", source)
	t.Logf("put, killed twice: %.1fs, %d bytes held, %d sent by the last run", time.Since(began).Seconds(), put.ResumedBytes, put.SentBytes)
	began = time.Now()
	get := bothDie(t, d, harness.Down, size, "get", put.UID.String(), "-o", target)
	t.Logf("get, killed twice: %.1fs, %d bytes held, %d received by the last run", time.Since(began).Seconds(), get.ResumedBytes, get.SentBytes)
	if got := harness.SumFile(t, target); got != sum {
		t.Errorf("the file came back as %x, was put as %x", got, sum)
	}
	onlyFile(t, target)
	if put.ResumedBytes == 0 || get.ResumedBytes == 0 {
		t.Errorf("nothing was resumed: put %+v, get %+v", put, get)
	}

	began = time.Now()
	again := harness.NewOSP(t, bin, d.URL).Get(put.UID, filepath.Join(t.TempDir(), "plain"))
	t.Logf("plain get: %.1fs of %d bytes", time.Since(began).Seconds(), again.Size)
	stopClean(t, d)
}

// bothDie runs a command of osp, kills osp at a third of the bytes, runs it
// again, and kills and restarts the daemon at two thirds while that runs.
func bothDie(t *testing.T, d *harness.Daemon, way harness.Direction, size int64, args ...string) harness.Result {
	t.Helper()
	gate := harness.NewGate(t, d.URL, way, size/3)
	osp := harness.NewOSP(t, bin, gate.URL)
	p := osp.Start(args...)
	reach(t, gate, p)
	p.Kill()
	gate.Reopen(t, d.URL, size*2/3)
	p = osp.Start(append(args, "--json")...)
	reach(t, gate, p)
	d.Kill()
	d.Start()
	gate.Reopen(t, d.URL, -1)
	exit := p.Wait()
	results := harness.Results(t, p.Stdout())
	if exit != 0 || len(results) != 1 || !results[0].OK {
		t.Fatalf("%v: exit %d\nstdout: %s\nstderr: %s", args, exit, p.Stdout(), p.Stderr())
	}
	return results[0]
}

func largeSize(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("OSP_E2E_LARGE_MIB")
	if text == "" {
		return 512<<20 + 1
	}
	mib, err := strconv.ParseInt(text, 10, 64)
	if err != nil || mib < 64 {
		t.Fatalf("OSP_E2E_LARGE_MIB=%q is not a number of MiB from 64 on", text)
	}
	return mib<<20 + 1
}
