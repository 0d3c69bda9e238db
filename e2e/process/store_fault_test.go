//go:build servers

package process

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/faultproxy"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// behind is a daemon whose only store lies behind a proxy that breaks things.
type behind struct {
	t      *testing.T
	proxy  *faultproxy.Proxy
	daemon *harness.Daemon
	osp    *harness.OSP
	config string
}

// newBehind starts one on a storage. Deleted objects go at once.
func newBehind(t *testing.T, s storage) *behind {
	t.Helper()
	b := &behind{t: t, proxy: faultproxy.New(t, s.url)}
	b.config = filepath.Join(t.TempDir(), "ospd.yaml")
	text := "grace: 0s\nsweep_interval: 1s\nstores:\n  remote: " + s.config(b.proxy.URL) + "\n"
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.daemon = harness.StartDaemon(t, bin, t.TempDir(), "--config", b.config)
	b.osp = harness.NewOSP(t, bin, b.daemon.URL)
	return b
}

// file writes a file of its own bytes for osp to put.
func (b *behind) file(seed uint64, size int64) (path string, data []byte) {
	b.t.Helper()
	data = harness.Content(seed, size)
	path = filepath.Join(b.t.TempDir(), fmt.Sprintf("f%d", seed))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path, data
}

// clean stops the daemon and has fsck look at everything.
func (b *behind) clean() {
	b.t.Helper()
	b.proxy.Clear()
	b.daemon.Stop()
	p := harness.Start(b.t, nil, "", bin.OSPD, "gc", "--data", b.daemon.Data, "--config", b.config, "--grace", "0s")
	if exit := p.Wait(); exit != 0 {
		b.t.Errorf("gc left with %d:\n%s%s", exit, p.Stdout(), p.Stderr())
	}
	if exit, out := harness.Fsck(b.t, bin, b.daemon.Data, "--read-data", "--config", b.config); exit != 0 || !strings.Contains(out, "0 pending") {
		b.t.Errorf("fsck left with %d:\n%s", exit, out)
	}
}

// Sizes of a file that is one request, and of one of three parts.
const (
	oneRequest = 100_000
	threeParts = 17 << 20
)

// TestStoreFaults has each fault happen once to each kind of request of each
// backend. What was to be done is done, since what the store or osp tries again
// is the same thing; and nothing is left behind.
func TestStoreFaults(t *testing.T) {
	for _, s := range storages(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := newBehind(t, s)
			seed := uint64(1000)
			for _, f := range []faultproxy.Fault{
				faultproxy.ResetMidUpload, faultproxy.ResetAfterUpload, faultproxy.LostReply, faultproxy.WrongUpload,
				faultproxy.Unavailable, faultproxy.TooMany, faultproxy.SlowFirstByte,
			} {
				for _, size := range []int64{oneRequest, threeParts} {
					seed++
					b.putUnder(f, seed, size)
				}
			}
			path, data := b.file(seed+1, threeParts)
			uid := b.osp.Put(path).UID
			for _, f := range []faultproxy.Fault{
				faultproxy.ResetMidDownload, faultproxy.EndAfterDownload, faultproxy.Truncated, faultproxy.WrongDownload, faultproxy.LostReply,
				faultproxy.Unavailable, faultproxy.TooMany, faultproxy.SlowFirstByte, faultproxy.Trickle,
			} {
				b.getUnder(f, uid, data)
			}
			b.clean()
		})
	}
}

// putUnder puts a file while the fault happens to what brings its bytes.
func (b *behind) putUnder(f faultproxy.Fault, seed uint64, size int64) {
	b.t.Helper()
	path, data := b.file(seed, size)
	before := b.proxy.Hits(f)
	b.proxy.Inject(f, 1, faultproxy.Put)
	uid := b.osp.Put(path).UID
	if b.proxy.Hits(f) != before+1 {
		b.t.Errorf("%s has not happened to a put of %d bytes", f, size)
	}
	b.proxy.Clear()
	b.daemon.API().MustHold(uid, data)
}

// getUnder gets a file, by a daemon that has just started and remembers
// nothing, while the fault happens to what reads its bytes.
func (b *behind) getUnder(f faultproxy.Fault, uid protocol.UID, data []byte) {
	b.t.Helper()
	b.restart()
	before := b.proxy.Hits(f)
	b.proxy.Inject(f, 1, faultproxy.Get)
	target := filepath.Join(b.t.TempDir(), "target")
	b.osp.Get(uid, target)
	if got, err := os.ReadFile(target); err != nil || string(got) != string(data) {
		b.t.Errorf("%s: %d bytes came back, %v", f, len(got), err)
	}
	if b.proxy.Hits(f) != before+1 {
		b.t.Errorf("%s has not happened to a get", f)
	}
	b.proxy.Clear()
}

func (b *behind) restart() {
	b.t.Helper()
	if exit := b.daemon.Stop(); exit != 0 {
		b.t.Fatalf("the daemon left with %d:\n%s", exit, b.daemon.Stderr())
	}
	b.daemon.Start()
	b.osp.Server = b.daemon.URL
}

// TestComposeFaults has each fault happen to each request of a composition.
func TestComposeFaults(t *testing.T) {
	for _, s := range storages(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := newBehind(t, s)
			seed := uint64(2000)
			for step, match := range map[string]faultproxy.Match{"begin": faultproxy.Begin, "piece": faultproxy.Piece, "complete": faultproxy.Complete} {
				for _, f := range []faultproxy.Fault{faultproxy.ResetAfterUpload, faultproxy.LostReply, faultproxy.Unavailable, faultproxy.TooMany} {
					seed++
					path, data := b.file(seed, threeParts)
					before := b.proxy.Hits(f)
					b.proxy.Inject(f, 1, match)
					uid := b.osp.Put(path).UID
					t.Logf("%s at %s", f, step)
					b.composed()
					if b.proxy.Hits(f) != before+1 {
						t.Errorf("%s has not happened to the %s of a composition", f, step)
					}
					b.proxy.Clear()
					b.daemon.API().MustHold(uid, data)
				}
			}
			b.clean()
		})
	}
}

// composed waits until no job composes any more.
func (b *behind) composed() {
	b.t.Helper()
	api := b.daemon.API()
	harness.Eventually(b.t, "compositions end", func() bool {
		for _, state := range []protocol.JobState{protocol.JobReady, protocol.JobRunning} {
			ans := api.JSON("GET", "/v1/jobs?kind=compose&state="+string(state), nil)
			api.Require(ans, http.StatusOK)
			if !strings.Contains(string(ans.Body), `"jobs":[]`) {
				return false
			}
		}
		return true
	})
}

// TestStoreAway has the storage be away in the middle of everything. Each
// request ends with an error that can be tried again, readiness names the store,
// and when it is back what was begun goes on.
func TestStoreAway(t *testing.T) {
	for _, s := range storages(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b := newBehind(t, s)
			path, data := b.file(3000, threeParts)
			uid := b.osp.Put(path).UID
			b.composed()
			b.restart()
			other, otherData := b.file(3001, threeParts)
			b.proxy.Cut()
			ans := b.daemon.API().Content(uid)
			if ans.Err == nil && ans.Status == http.StatusOK {
				t.Error("a clean 200 while the storage is away")
			}
			exit, p := b.osp.Run("put", "--retries", "1", other)
			if exit != 5 {
				t.Errorf("osp put left with %d: %s", exit, p.Stderr())
			}
			harness.Eventually(t, "readiness names the store", func() bool {
				ans := b.daemon.API().JSON("GET", "/readyz", nil)
				return ans.Status == http.StatusServiceUnavailable && strings.Contains(string(ans.Body), "remote")
			})
			b.proxy.Clear()
			harness.Eventually(t, "the daemon is ready again", func() bool {
				return b.daemon.API().JSON("GET", "/readyz", nil).Status == http.StatusOK
			})
			b.daemon.API().MustHold(uid, data)
			b.daemon.API().MustHold(b.osp.Put(other).UID, otherData)
			b.clean()
		})
	}
}
