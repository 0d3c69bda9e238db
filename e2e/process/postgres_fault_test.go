//go:build postgres

package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta/metatest/pgtest"
	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestPostgresFaults: files are put, claimed, read and deleted all the time
// while the database is killed and started again, its connections are cut, the
// answers to its commits are lost, and the daemon is killed. Whoever asks is
// answered, or told to come back; nothing that was acknowledged is lost, nothing
// is there twice, and what was interrupted is done in the end.
func TestPostgresFaults(t *testing.T) {
	server, _ := postgres(t, true)
	b := newBattle(t, server)
	b.begin(b.putsSmall, b.putsLarge, b.deletes, b.claims)
	for _, fault := range []func(){
		b.crash, b.cut, b.loseCommits, b.killDaemon, b.shutdown, b.cut, b.killBoth, b.loseCommits, b.crash,
	} {
		b.progress()
		fault()
	}
	b.progress()
	b.end()
	b.check()
}

// battle is a daemon on a database that suffers, and those who ask something
// of it.
type battle struct {
	t      *testing.T
	server *pgtest.Server
	proxy  *pgtest.Proxy
	d      *harness.Daemon
	// url is where the daemon is found, also when it comes back: no tap is between.
	url  string
	api  *harness.API
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
	// lose is how many commits are to be lost yet.
	lose atomic.Int64
	// killing: the daemon is dead, or dies, and answers nobody.
	killing atomic.Bool
	// refusals are answers that say to come back, acks all others.
	refusals, acks atomic.Int64

	mu sync.Mutex
	// live and gone are the files acknowledged: those to read, by what is in
	// them, and those deleted.
	live map[protocol.UID]content
	gone map[protocol.UID]bool
}

// content is harness.Content.
type content struct {
	seed uint64
	size int64
}

func (c content) bytes() []byte { return harness.Content(c.seed, c.size) }

func newBattle(t *testing.T, server *pgtest.Server) *battle {
	t.Helper()
	b := &battle{t: t, server: server, live: map[protocol.UID]content{}, gone: map[protocol.UID]bool{}}
	var err error
	if b.proxy, err = pgtest.NewProxy(server.Dir(), b.fate); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	// A daemon that comes back is found where it was.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b.d = harness.StartDaemon(t, bin, filepath.Join(t.TempDir(), "data"), "--db", b.proxy.URL("ospd", nil), "--listen", l.Addr().String())
	b.url = "http://" + l.Addr().String()
	b.api = harness.NewAPI(t, b.url)
	b.ctx, b.stop = context.WithCancel(context.Background())
	t.Cleanup(b.stop)
	return b
}

// fate is what becomes of a commit.
func (b *battle) fate() pgtest.Fate {
	switch n := b.lose.Add(-1); {
	case n < 0:
		return pgtest.Passed
	case n%2 == 0:
		return pgtest.LostBefore
	default:
		return pgtest.LostAfter
	}
}

// begin has each of the clients do what it does until end.
func (b *battle) begin(clients ...func(n int)) {
	for i, do := range clients {
		b.wg.Go(func() {
			for n := i * 1000; b.ctx.Err() == nil && !b.t.Failed(); n++ {
				do(n)
			}
		})
	}
}

func (b *battle) end() {
	b.stop()
	b.wg.Wait()
}

// ask repeats a request until it is answered with one of the statuses. All it
// may be told before is to come back, unless the daemon is being killed.
func (b *battle) ask(what string, request func() harness.Answer, statuses ...int) harness.Answer {
	for !b.t.Failed() {
		deadly := b.killing.Load()
		ans := request()
		switch {
		case ans.Err == nil && slices.Contains(statuses, ans.Status):
			b.acks.Add(1)
			return ans
		case ans.Err != nil && (deadly || b.killing.Load()):
		case ans.Err == nil && ans.Status == http.StatusServiceUnavailable && ans.Header.Get("Retry-After") != "" && ans.Code() == protocol.KindUnavailable:
			b.refusals.Add(1)
		default:
			b.t.Errorf("%s: answer %d, Retry-After %q, error %v: %.400s", what, ans.Status, ans.Header.Get("Retry-After"), ans.Err, ans.Body)
		}
		time.Sleep(20 * time.Millisecond) // as who is told to come back
	}
	return harness.Answer{Err: errors.New("given up")}
}

func (b *battle) holds(ans harness.Answer, c content) {
	if ans.Err != nil {
		return
	}
	var f protocol.File
	if err := json.Unmarshal(ans.Body, &f); err != nil {
		b.t.Errorf("not a file: %s", ans.Body)
		return
	}
	b.add(f.UID, c)
}

func (b *battle) add(uid protocol.UID, c content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, twice := b.live[uid]; twice {
		b.t.Errorf("the uid %s was given twice", uid)
	}
	b.live[uid] = c
}

// oldest takes the file put first out of the books, where there are some.
func (b *battle) oldest() (uid protocol.UID, c content, found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.live) < 10 {
		return 0, content{}, false
	}
	uid = slices.Min(slices.Collect(maps.Keys(b.live)))
	c = b.live[uid]
	delete(b.live, uid)
	return uid, c, true
}

func (b *battle) putsSmall(n int) {
	c := content{uint64(n), int64(1 + n*7919%200_000)}
	data := c.bytes()
	b.holds(b.ask("a put", func() harness.Answer {
		return b.api.DoContext(context.Background(), "POST", fmt.Sprintf("/v1/files?name=small-%d", n), bytes.NewReader(data), int64(len(data)),
			protocol.HeaderXXH3, protocol.SumXXH3(data).String(), "Idempotency-Key", fmt.Sprint("small-", n))
	}, http.StatusOK, http.StatusCreated), c)
}

func (b *battle) putsLarge(n int) {
	c := content{uint64(n), 9 << 20}
	data := c.bytes()
	var u protocol.Upload
	ans := b.ask("a begin", func() harness.Answer {
		return b.api.JSON("POST", "/v1/uploads", map[string]any{"name": fmt.Sprint("large-", n), "size": c.size}, "Idempotency-Key", fmt.Sprint("large-", n))
	}, http.StatusOK, http.StatusCreated)
	if ans.Err != nil || json.Unmarshal(ans.Body, &u) != nil {
		return
	}
	for part, off := protocol.PartNumber(1), int64(0); off < c.size; part, off = part+1, off+u.PartSize {
		piece := data[off:min(off+u.PartSize, c.size)]
		b.ask("a part", func() harness.Answer { return b.api.PutPart(u.UID, part, piece) }, http.StatusOK)
	}
	b.holds(b.ask("a commit", func() harness.Answer { return b.api.Commit(u.UID) }, http.StatusOK), c)
}

// deletes reads a file and deletes it.
func (b *battle) deletes(int) {
	uid, c, found := b.oldest()
	if !found {
		time.Sleep(time.Millisecond)
		return
	}
	ans := b.ask("a get", func() harness.Answer {
		ans := b.api.Content(uid)
		if ans.Err != nil && ans.Status != 0 { // cut in the middle, as it may be
			ans = harness.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}}
		}
		return ans
	}, http.StatusOK)
	if ans.Err == nil && !bytes.Equal(ans.Body, c.bytes()) {
		b.t.Errorf("file %s came back as something else", uid)
	}
	statuses := []int{http.StatusNoContent}
	b.ask("a delete", func() harness.Answer {
		ans := b.api.JSON("DELETE", "/v1/files/"+uid.String(), nil)
		if ans.Err != nil { // it may have been done
			statuses = []int{http.StatusNoContent, http.StatusNotFound}
		}
		if ans.Err == nil && slices.Contains(statuses, ans.Status) {
			return harness.Answer{Status: http.StatusNoContent}
		}
		return ans
	}, http.StatusNoContent)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone[uid] = true
}

// claims has osp put the same file again and again: after the first time its
// content is there.
func (b *battle) claims(int) {
	c := content{1, 5 << 20}
	path := harness.WriteFile(b.t, "same", c.bytes())
	exit, p := harness.NewOSP(b.t, bin, b.url).Run("put", "--json", path)
	results := harness.Results(b.t, p.Stdout())
	if exit != 0 || len(results) != 1 || !results[0].OK {
		b.t.Errorf("osp left with %d: %s%s", exit, p.Stdout(), p.Stderr())
		return
	}
	b.acks.Add(1)
	b.add(results[0].UID, c)
}

// progress waits until some more was acknowledged.
func (b *battle) progress() {
	b.t.Helper()
	before := b.acks.Load()
	b.await("requests are answered", func() bool { return b.acks.Load() > before+20 })
}

func (b *battle) await(what string, ok func() bool) {
	b.t.Helper()
	harness.Eventually(b.t, what, func() bool {
		if b.t.Failed() {
			b.t.FailNow()
		}
		return ok()
	})
}

// refused waits until somebody was told to come back.
func (b *battle) refused() {
	b.t.Helper()
	before := b.refusals.Load()
	b.await("a request is refused", func() bool { return b.refusals.Load() > before+2 })
}

func (b *battle) runServer() {
	b.t.Helper()
	if err := b.server.Run(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *battle) crash() {
	b.server.Crash()
	b.refused()
	b.runServer()
}

func (b *battle) shutdown() {
	b.server.Shutdown()
	b.refused()
	b.runServer()
}

func (b *battle) cut() {
	for range 5 {
		b.proxy.Cut()
		b.progress()
	}
}

func (b *battle) loseCommits() {
	b.lose.Store(12)
	b.await("commits are lost", func() bool { return b.lose.Load() < 0 })
}

func (b *battle) killDaemon() { b.kill(func() {}) }

// killBoth: the daemon comes back before its database does.
func (b *battle) killBoth() {
	b.kill(func() {
		b.server.Crash()
		b.wg.Go(func() {
			if err := b.server.Run(context.Background()); err != nil {
				b.t.Error(err)
			}
		})
	})
}

func (b *battle) kill(meanwhile func()) {
	b.killing.Store(true)
	b.d.Kill()
	meanwhile()
	b.d.Start()
	b.killing.Store(false)
}

func (b *battle) check() {
	t := b.t
	t.Logf("%d requests were acknowledged, %d refused; %d files are there, %d were deleted", b.acks.Load(), b.refusals.Load(), len(b.live), len(b.gone))
	select {
	case <-b.d.Done():
		t.Fatalf("the daemon ended:\n%s", b.d.Stderr())
	default:
	}
	files := b.api.Files()
	if len(files) != len(b.live) {
		t.Errorf("there are %d files, %d were acknowledged", len(files), len(b.live))
	}
	for _, f := range files {
		c, ok := b.live[f.UID]
		if !ok {
			t.Errorf("file %s (%s) was not acknowledged", f.UID, f.Name)
			continue
		}
		b.api.MustHold(f.UID, c.bytes())
	}
	b.checkJobs()
	stop(t, b.d)
	b.checkEvents()
	address := b.server.URL("ospd")
	if exit, out := ospd(t, b.d.Data, address, "fsck", "--read-data"); exit != 0 {
		t.Errorf("fsck: %d: %s", exit, out)
	}
	if exit, out := ospd(t, b.d.Data, address, "gc", "--grace", "0"); exit != 0 {
		t.Errorf("gc: %d: %s", exit, out)
	}
	if exit, out := ospd(t, b.d.Data, address, "fsck", "--read-data"); exit != 0 || !strings.Contains(out, ", 0 pending") {
		t.Errorf("fsck after gc: %d: %s", exit, out)
	}
}

// checkJobs: what was enqueued is done, none has failed for good.
func (b *battle) checkJobs() {
	for uid := range b.live {
		harness.Eventually(b.t, "the digests of all are computed", func() bool {
			var f protocol.File
			decodeInto(b.t, b.api, b.api.JSON("GET", "/v1/files/"+uid.String(), nil), http.StatusOK, &f)
			return f.SHA256 != nil
		})
	}
	var dead protocol.JobList
	decodeInto(b.t, b.api, b.api.JSON("GET", "/v1/jobs?state=dead", nil), http.StatusOK, &dead)
	if len(dead.Jobs) > 0 {
		b.t.Errorf("jobs are dead: %+v", dead.Jobs)
	}
}

// checkEvents: each of what happened has one number, and no number is left out.
func (b *battle) checkEvents() {
	got := map[string]int{}
	numbers, err := pgtest.Rows(b.t.Context(), b.server.URL("ospd"), `SELECT number || ' ' || kind || ' ' || COALESCE(uid, 0) FROM events ORDER BY number`)
	if err != nil {
		b.t.Fatal(err)
	}
	for i, line := range numbers {
		number, what, _ := strings.Cut(line, " ")
		if number != fmt.Sprint(i+1) {
			b.t.Fatalf("event %d has the number %s", i+1, number)
		}
		got[what]++
	}
	want := map[string]int{}
	for uid := range b.live {
		want[fmt.Sprintf("%s %s", protocol.EventFileCommitted, uid)] = 1
	}
	for uid := range b.gone {
		want[fmt.Sprintf("%s %s", protocol.EventFileCommitted, uid)] = 1
		want[fmt.Sprintf("%s %s", protocol.EventFileDeleted, uid)] = 1
	}
	for what, n := range want {
		if got[what] != n {
			b.t.Errorf("of %s there are %d events", what, got[what])
		}
	}
	if len(got) != len(want) {
		b.t.Errorf("there are %d events, %d happened", len(got), len(want))
	}
}
