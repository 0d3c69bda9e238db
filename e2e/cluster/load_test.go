//go:build servers && linux

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// load is clients that put files all the time, each request repeated until a
// node answers it, and a log of what was acknowledged.
type load struct {
	c    *cluster
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
	// acks counts what was acknowledged, refusals all else.
	acks, refusals atomic.Int64

	mu sync.Mutex
	// files are those acknowledged, by the seed of their content.
	files map[protocol.UID]uint64
}

const (
	loadSize = 5000
	// loadPatience is when a client asks another node: one that is stopped
	// answers nothing.
	loadPatience = 3 * time.Second
)

// newLoad begins to ask all nodes in turn.
func (c *cluster) newLoad(clients int) *load {
	l := &load{c: c, files: map[protocol.UID]uint64{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	c.t.Cleanup(l.end)
	apis := make([]*harness.API, len(c.nodes))
	for i, n := range c.nodes {
		apis[i] = harness.NewAPI(c.t, "http://"+n.listen)
	}
	for i := range clients {
		l.wg.Go(func() {
			for n := uint64(i+1) << 32; l.ctx.Err() == nil; n++ {
				l.put(apis, n)
			}
		})
	}
	return l
}

// put puts a file, whatever it takes.
func (l *load) put(apis []*harness.API, seed uint64) {
	data := harness.Content(seed, loadSize)
	for try := uint64(0); l.ctx.Err() == nil; try++ {
		ctx, cancel := context.WithTimeout(l.ctx, loadPatience)
		ans := apis[(seed+try)%uint64(len(apis))].DoContext(ctx, "POST", fmt.Sprintf("/v1/files?name=load-%d", seed), bytes.NewReader(data), loadSize,
			protocol.HeaderXXH3, protocol.SumXXH3(data).String(), "Idempotency-Key", fmt.Sprint(seed))
		cancel()
		switch {
		case ans.Err == nil && ans.Status == http.StatusCreated:
			l.acknowledged(ans, seed)
			return
		case ans.Err == nil && ans.Status < 500:
			l.c.t.Errorf("a put was answered %d: %.300s", ans.Status, ans.Body)
			return
		default:
			l.refusals.Add(1)
		}
	}
}

// acknowledged notes what was answered.
func (l *load) acknowledged(ans harness.Answer, seed uint64) {
	var f protocol.File
	if err := json.Unmarshal(ans.Body, &f); err != nil {
		l.c.t.Errorf("a put was answered %s: %v", ans.Body, err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.files[f.UID]; twice {
		l.c.t.Errorf("two files have the uid %s", f.UID)
	}
	l.files[f.UID] = seed
	l.acks.Add(1)
}

// progress waits until that many more files are acknowledged.
func (l *load) progress(more int64) {
	l.c.t.Helper()
	want := l.acks.Load() + more
	harness.Eventually(l.c.t, "files are put", func() bool { return l.acks.Load() >= want })
}

// end ends the clients.
func (l *load) end() {
	l.stop()
	l.wg.Wait()
}

// check ends the clients; what was acknowledged reads from every node, and has
// a uid of its own.
func (l *load) check() {
	t := l.c.t
	t.Helper()
	l.end()
	t.Logf("%d files were acknowledged; %d requests were not answered, or with 5xx", l.acks.Load(), l.refusals.Load())
	for i, n := range l.c.nodes {
		api := harness.NewAPI(t, "http://"+n.listen)
		k := 0
		for uid, seed := range l.files {
			if k++; k%len(l.c.nodes) == i {
				api.MustHold(uid, harness.Content(seed, loadSize))
			}
		}
	}
}

// ready waits until the node takes requests again.
func (n *node) ready(t *testing.T) {
	t.Helper()
	api := harness.NewAPI(t, "http://"+n.listen)
	harness.Eventually(t, "the node is ready", func() bool {
		return api.Do("GET", "/readyz", nil, 0).Status == http.StatusOK
	})
}
