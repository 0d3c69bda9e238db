//go:build servers

package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/docs/schema/schematest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// totalPoints is how often each direction is killed.
const totalPoints = 6

// totalSizes are the sizes of the files that are moved at once: all that one
// request carries, all that is a part short or a byte more, and what is not of
// any of these.
func totalSizes() []int64 {
	const part = protocol.MinPartSize
	return []int64{0, 1, 4096, protocol.OneShotMax, protocol.OneShotMax + 1, protocol.BlockSize - 1, protocol.BlockSize + 1,
		part - 1, part, part + 1, 2*part + 3, 20_000_000}
}

// TestTotalsAfterResumeAddUp: of several files some of which were moved, some
// half and some not, every byte is sent, or found held, or claimed, or left as
// it was; what is said to have been sent is what passed. Each direction is killed
// at totalPoints points, uniform in bytes.
func TestTotalsAfterResumeAddUp(t *testing.T) {
	d := harness.StartDaemon(t, bin, t.TempDir())
	var all int64
	for _, size := range totalSizes() {
		all += size
	}
	seen := map[string]bool{}
	for i := range totalPoints {
		point := all * int64(2*i+1) / (2 * totalPoints)
		put, uids := putTotals(t, d, i, point, all)
		get := getTotals(t, d, point, all, uids)
		for _, r := range append(put.results, get.results...) {
			seen[r.Outcome] = true
		}
	}
	for _, outcome := range []string{"uploaded", "resumed", "instant", "downloaded", "already_complete", "skipped"} {
		if !seen[outcome] {
			t.Errorf("no file was %s", outcome)
		}
	}
	stopClean(t, d)
}

// putTotals kills a put of all files at a point, puts them again, and returns
// their uids in the order of totalSizes.
func putTotals(t *testing.T, d *harness.Daemon, run int, point, all int64) (got totals, uids []string) {
	osp := harness.NewOSP(t, bin, d.URL)
	// So few at once that some are committed before the others have begun.
	args := []string{"put", "-j", "4"}
	for i, size := range totalSizes() {
		path := filepath.Join(osp.Dir, fmt.Sprint(i))
		harness.WriteContent(t, path, uint64(1000+100*run+i), size)
		args = append(args, path)
	}
	killAt(t, osp, d.URL, harness.Up, point, args...)
	got = totalsOf(t, osp, d.URL, harness.Up, args)
	got.check(t, all)
	uids = make([]string, len(totalSizes()))
	for _, r := range got.results {
		i, err := strconv.Atoi(filepath.Base(r.Path))
		if err != nil || r.Size != totalSizes()[i] {
			t.Fatalf("put killed at %d: %+v", point, r)
		}
		uids[i] = r.UID.String()
	}
	return got, uids
}

// getTotals does the same the other way, into a folder where another file has
// the name of one of them already.
func getTotals(t *testing.T, d *harness.Daemon, point, all int64, uids []string) totals {
	osp := harness.NewOSP(t, bin, d.URL)
	other := filepath.Join(osp.Dir, "5")
	if err := os.WriteFile(other, []byte("another file"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"get", "-o", osp.Dir, "--if-exists", "skip"}, uids...)
	// What is skipped does not pass.
	killAt(t, osp, d.URL, harness.Down, min(point, all-totalSizes()[5]-1), args...)
	got := totalsOf(t, osp, d.URL, harness.Down, args)
	got.check(t, all)
	if got.skipped != totalSizes()[5] {
		t.Errorf("get killed at %d: %d bytes were skipped, want one file of %d", point, got.skipped, totalSizes()[5])
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "another file" {
		t.Errorf("the file that was in the way is %q (%v)", text, err)
	}
	return got
}

// totals are what one run said of itself, and what passed.
type totals struct {
	results []harness.Result
	skipped int64
	passed  int64
	summary struct {
		OK           bool
		Done, Items  int
		Bytes        int64
		SentBytes    int64 `json:"sent_bytes"`
		ResumedBytes int64 `json:"resumed_bytes"`
		InstantBytes int64 `json:"instant_bytes"`
	}
}

// totalsOf runs osp to its end and listens to what passes.
func totalsOf(t *testing.T, osp *harness.OSP, url string, way harness.Direction, args []string) totals {
	t.Helper()
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	gate := harness.NewGate(t, url, way, -1)
	osp.Server = gate.URL
	exit, p := osp.Run(append(args, "--json")...)
	gate.Close()
	up, down := gate.Passed()
	// Each line is as published, and the lines agree with the summary.
	if err := schemas.Output(args[0], []byte(p.Stdout())); err != nil || exit != 0 {
		t.Fatalf("exit %d: %v\n%s%s", exit, err, p.Stdout(), p.Stderr())
	}
	got := totals{results: harness.Results(t, p.Stdout()), passed: [2]int64{harness.Up: up, harness.Down: down}[way]}
	for _, r := range got.results {
		if r.Outcome == "skipped" {
			got.skipped += r.Size
		}
		if r.Retries != 0 {
			t.Errorf("a request was made again: %+v", r)
		}
	}
	lines := strings.Split(strings.TrimSpace(p.Stdout()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got.summary); err != nil {
		t.Fatal(err)
	}
	return got
}

func (g totals) check(t *testing.T, all int64) {
	t.Helper()
	s := g.summary
	if !s.OK || s.Done != len(totalSizes()) || s.Items != s.Done || s.Bytes != all || s.SentBytes+s.ResumedBytes+s.InstantBytes+g.skipped != all {
		t.Errorf("%d bytes in %d files, of which %d skipped: %+v", all, len(totalSizes()), g.skipped, s)
	}
	if over := g.passed - s.SentBytes; over < 0 || over > wireSlack {
		t.Errorf("%d bytes passed, and %d are said to have been sent", g.passed, s.SentBytes)
	}
}
