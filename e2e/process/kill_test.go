package process

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// killSize is nine parts, the last one short.
	killSize  = 64<<20 + 12_345
	killConns = 3
	// wireSlack is what the headers of a run may weigh.
	wireSlack = 128 << 10
	// getRange is the most that one request of a get asks for.
	getRange = 4 * protocol.BlockSize
)

// killCount is how many runs are killed in each direction: OSP_E2E_KILLS, or
// usualKills where it is not set. `make soak` kills 200.
func killCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv("OSP_E2E_KILLS")
	if text == "" {
		return usualKills
	}
	kills, err := strconv.Atoi(text)
	if err != nil || kills < 1 {
		t.Fatalf("OSP_E2E_KILLS=%q is not a number of kills", text)
	}
	return kills
}

// killPoint is where run i of the killed runs ends: uniform in bytes.
func killPoint(i, kills int) int64 { return killSize * int64(2*i+1) / int64(2*kills) }

func TestKilledPutSendsAgainWhatWasInFlight(t *testing.T) {
	kills := killCount(t)
	d := harness.StartDaemon(t, bin, t.TempDir())
	api := d.API()
	dir := t.TempDir()
	for i := range kills {
		path := filepath.Join(dir, fmt.Sprintf("killed-%d", i))
		sum := harness.WriteContent(t, path, uint64(i), killSize)
		osp := harness.NewOSP(t, bin, d.URL)
		sent := killAt(t, osp, d.URL, harness.Up, killPoint(i, kills), "put", path)

		osp.Server = d.URL
		r := resumed(t, osp, i, "put", path)
		if r.SentBytes+r.ResumedBytes != killSize {
			t.Errorf("run %d: sent %d and found %d held, which is not the file", i, r.SentBytes, r.ResumedBytes)
		}
		if again := sent + r.SentBytes - killSize; again > killConns*protocol.MinPartSize+wireSlack {
			t.Errorf("run %d: %d bytes were sent again; at most %d parts were in flight", i, again, killConns)
		}
		if ans := api.Content(r.UID); ans.Status != http.StatusOK || ans.Err != nil || sumOf(ans.Body) != sum {
			t.Errorf("run %d: what came back differs (status %d, %v)", i, ans.Status, ans.Err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if files := api.Files(); len(files) != kills {
		t.Errorf("%d puts made %d files", kills, len(files))
	}
	stopClean(t, d)
}

func TestKilledGetFetchesAgainWhatWasInFlight(t *testing.T) {
	kills := killCount(t)
	d := harness.StartDaemon(t, bin, t.TempDir())
	dir := t.TempDir()
	source := filepath.Join(t.TempDir(), "source")
	sum := harness.WriteContent(t, source, 99, killSize)
	uid := harness.NewOSP(t, bin, d.URL).Put(source).UID
	for i := range kills {
		target := filepath.Join(dir, "target")
		osp := harness.NewOSP(t, bin, d.URL)
		received := killAt(t, osp, d.URL, harness.Down, killPoint(i, kills), "get", uid.String(), "-o", target)
		if _, err := os.Stat(target); err == nil {
			t.Errorf("run %d: a killed get left its target", i)
		}

		osp.Server = d.URL
		r := resumed(t, osp, i, "get", uid.String(), "-o", target)
		if r.SentBytes+r.ResumedBytes != killSize {
			t.Errorf("run %d: received %d and found %d held, which is not the file", i, r.SentBytes, r.ResumedBytes)
		}
		if again := received + r.SentBytes - killSize; again > killConns*getRange+wireSlack {
			t.Errorf("run %d: %d bytes were fetched again; at most %d ranges were in flight", i, again, killConns)
		}
		if harness.SumFile(t, target) != sum {
			t.Errorf("run %d: what came back differs", i)
		}
		onlyFile(t, target)
		if err := os.Remove(target); err != nil {
			t.Fatal(err)
		}
	}
	stopClean(t, d)
}

// TestKilledDaemonIsWaitedFor: the daemon dies in the middle of a put, and of a
// get in turn, and comes back. The same run of osp goes on, and what moves again
// is what was in flight.
func TestKilledDaemonIsWaitedFor(t *testing.T) {
	kills := killCount(t)
	d := harness.StartDaemon(t, bin, t.TempDir())
	source, dir := filepath.Join(t.TempDir(), "source"), t.TempDir()
	sum := harness.WriteContent(t, source, 98, killSize)
	uid := harness.NewOSP(t, bin, d.URL).Put(source).UID
	for i := range kills {
		way, path, again := harness.Up, filepath.Join(dir, "put"), int64(killConns*protocol.MinPartSize)
		args := []string{"put", path}
		want := sum
		if i%2 == 1 {
			way, path, again = harness.Down, filepath.Join(dir, "get"), killConns*getRange
			args = []string{"get", uid.String(), "-o", path}
		} else {
			want = harness.WriteContent(t, path, uint64(20_000+i), killSize)
		}
		r, passed := daemonDies(t, d, way, killPoint(i, kills), args...)
		if r.Size != killSize || !r.Verified || passed > killSize+again+wireSlack {
			t.Errorf("run %d, %v: %d bytes passed for %+v", i, args, passed, r)
		}
		if ans := d.API().Content(r.UID); ans.Status != http.StatusOK || ans.Err != nil || sumOf(ans.Body) != want {
			t.Errorf("run %d, %v: what came back differs (status %d, %v)", i, args, ans.Status, ans.Err)
		}
		if harness.SumFile(t, path) != want {
			t.Errorf("run %d, %v: the local file differs", i, args)
		}
		onlyFile(t, path)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	stopClean(t, d)
}

// daemonDies runs osp through a gate, kills the daemon when limit bytes have
// passed, starts it again, and returns what osp said in the end and what passed
// in all.
func daemonDies(t *testing.T, d *harness.Daemon, way harness.Direction, limit int64, args ...string) (harness.Result, int64) {
	t.Helper()
	gate := harness.NewGate(t, d.URL, way, limit)
	osp := harness.NewOSP(t, bin, gate.URL)
	p := osp.Start(append(args, "--json", "--connections", strconv.Itoa(killConns))...)
	reach(t, gate, p)
	d.Kill()
	d.Start()
	gate.Reopen(t, d.URL, -1)
	exit := p.Wait()
	gate.Close()
	results := harness.Results(t, p.Stdout())
	if exit != 0 || len(results) != 1 || !results[0].OK {
		t.Fatalf("%v: exit %d\nstdout: %s\nstderr: %s", args, exit, p.Stdout(), p.Stderr())
	}
	up, down := gate.Passed()
	return results[0], [2]int64{harness.Up: up, harness.Down: down}[way]
}

// reach waits until the gate has let through what it may.
func reach(t *testing.T, gate *harness.Gate, p *harness.Process) {
	t.Helper()
	select {
	case <-gate.Reached():
	case <-p.Done():
		t.Fatalf("osp ended with %d before the gate closed:\nstdout: %s\nstderr: %s", p.Wait(), p.Stdout(), p.Stderr())
	}
}

// killAt runs osp through a gate, kills it when limit bytes have passed, and
// returns how many did.
func killAt(t *testing.T, osp *harness.OSP, url string, way harness.Direction, limit int64, args ...string) int64 {
	t.Helper()
	gate := harness.NewGate(t, url, way, limit)
	osp.Server = gate.URL
	p := osp.Start(append(args, "--connections", strconv.Itoa(killConns))...)
	reach(t, gate, p)
	p.Kill()
	gate.Close()
	up, down := gate.Passed()
	return [2]int64{harness.Up: up, harness.Down: down}[way]
}

// resumed goes on with a killed run: every other time by typing the command
// again, else by `osp resume`.
func resumed(t *testing.T, osp *harness.OSP, i int, again ...string) harness.Result {
	t.Helper()
	args := append(again, "--json")
	if i%2 == 1 {
		args = []string{"resume", "--json"}
	}
	exit, p := osp.Run(args...)
	results := harness.Results(t, p.Stdout())
	if exit != 0 || len(results) != 1 || !results[0].OK {
		t.Fatalf("run %d, %v: exit %d\nstdout: %s\nstderr: %s", i, args, exit, p.Stdout(), p.Stderr())
	}
	return results[0]
}
