//go:build servers

package process

import (
	"syscall"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

const (
	slowReaders = 1000
	// mostMemory is the target for the daemon's peak at that many downloads,
	// and sameMemory what two peaks may differ in that are the same: a garbage
	// collection here or there.
	mostMemory = 96 << 20
	sameMemory = 16 << 20
)

// TestMemoryIsFlatOverSlowDownloads: what 1,000 downloads that hardly move cost
// the daemon does not depend on the size of the file.
func TestMemoryIsFlatOverSlowDownloads(t *testing.T) {
	needDescriptors(t, 2*slowReaders+200)
	small := slowPeak(t, protocol.BlockSize)
	large := slowPeak(t, 16*protocol.BlockSize)
	t.Logf("peak with files of 4 MiB: %.1f MB, of 64 MiB: %.1f MB", float64(small)/1e6, float64(large)/1e6)
	if most := max(small, large); most > mostMemory {
		t.Errorf("the daemon took %d bytes, more than %d", most, mostMemory)
	}
	if large > small+sameMemory {
		t.Errorf("the daemon took %d bytes for files of 4 MiB and %d for files of 64 MiB", small, large)
	}
}

// slowPeak is the most memory a daemon takes while so many readers are all in
// the middle of a file of that size.
func slowPeak(t *testing.T, size int64) int64 {
	d := harness.StartDaemon(t, bin, t.TempDir())
	content := harness.Content(uint64(size), size)
	uid := d.API().MustUpload("slow", content).UID
	if exit := d.Stop(); exit != 0 {
		t.Fatalf("exit %d:\n%s", exit, d.Stderr())
	}
	d.Start() // what the upload took is no part of it

	var peak int64
	harness.Slowly(t, d.URL, uid, content, slowReaders, func() { peak = harness.PeakMemory(t, d.PID()) })
	stopClean(t, d)
	return peak
}

// needDescriptors raises the limit of open files, for this process and those it
// starts.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < n {
		t.Fatalf("this test needs %d open files, and %d are allowed: ulimit -Hn %d", n, limit.Max, n)
	}
	if limit.Cur < n {
		limit.Cur = n
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}
}
