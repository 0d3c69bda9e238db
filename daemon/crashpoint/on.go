//go:build crashpoints

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Env names the variable that chooses where to die: NAME or NAME:N for the
// N-th time the point is passed.
const Env = "OSPD_CRASH_AT"

// All lists every point, so that a test can prove that each was reached.
func All() []Point {
	return []Point{
		BeginRecorded,
		PartBlobNamed, PartOpened, PartHalfWritten, PartWritten, PartRecorded,
		SyncDone, SyncCleared,
		CommitChecked, CommitSynced, CommitRecorded, CutDone,
		PutDirReserved, PutNamed, PutStored, PutRecorded,
		DigestRead, DigestRecorded, ScrubSaved,
		MigrateCopied, MigrateVerified, MigrateFlipped,
		ComposeNamed, ComposeBegun, ComposeRecorded, ComposeJoined, ComposeFlipped,
		ImportListed, ImportRecorded,
		AbortRecorded, DeleteRecorded,
	}
}

var hits struct {
	sync.Mutex
	n map[Point]int
}

// Hit kills the process with SIGKILL when Env asks for this passing of p.
func Hit(p Point) {
	name, nth, _ := strings.Cut(os.Getenv(Env), ":")
	if name != string(p) {
		return
	}
	want, err := strconv.Atoi(nth)
	if err != nil {
		want = 1
	}
	hits.Lock()
	if hits.n == nil {
		hits.n = map[Point]int{}
	}
	hits.n[p]++
	die := hits.n[p] == want
	hits.Unlock()
	if die {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
