//go:build servers && linux

package cluster

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// rollingSize is more than lies between a node and a client that reads nothing.
const rollingSize = 16 << 20

// rollingReads restarts each node in turn, in the middle of downloads that hardly
// move, of its file through another node and of another's through it: they come to
// their end. What lies at another node reads all the time. What lies at the one
// that is away is refused, as draining while it stops and as owner_down from then
// on, and while it is away alone; no file is lost.
func (c *cluster) rollingReads() {
	c.t.Helper()
	c.meet()
	r := newRolling(c)
	for i := range c.nodes {
		r.restart(i)
	}
	r.end()
}

// rolling is clients that read a file of each node at each other all the time.
type rolling struct {
	c     *cluster
	apis  []*harness.API
	datas [][]byte
	uids  []protocol.UID
	// away is the node that is being restarted, nobody if none is.
	away atomic.Int64
	over atomic.Bool
	wg   sync.WaitGroup
	// reads counts what was read, refused what was refused.
	reads, refused atomic.Int64
}

const nobody = -1

func newRolling(c *cluster) *rolling {
	r := &rolling{c: c}
	r.away.Store(nobody)
	for i, n := range c.nodes {
		r.apis = append(r.apis, harness.NewAPI(c.t, "http://"+n.listen))
		r.datas = append(r.datas, harness.Content(uint64(500+i), rollingSize))
		r.uids = append(r.uids, r.apis[i].MustUpload("rolling", r.datas[i]).UID)
	}
	c.t.Cleanup(r.stop)
	for at := range c.nodes {
		r.wg.Go(func() {
			for k := 0; !r.over.Load(); k++ {
				if !r.range64k(at, k%len(c.nodes), k) {
					return
				}
			}
		})
	}
	return r
}

// range64k reads some bytes of a node's file at a node, unless that one is away.
// It reports whether what came was right.
func (r *rolling) range64k(at, of, k int) bool {
	before := r.away.Load()
	if before == int64(at) {
		at = (at + 1) % len(r.c.nodes) // as what stands before nodes does
	}
	off := k * 65_537 % (rollingSize - 65_536)
	ans := r.apis[at].Do("GET", "/v1/files/"+r.uids[of].String()+"/content", nil, 0, "Range", fmt.Sprintf("bytes=%d-%d", off, off+65_535))
	after := r.away.Load()
	switch {
	case ans.Err == nil && ans.Status == http.StatusPartialContent && bytes.Equal(ans.Body, r.datas[of][off:off+65_536]):
		r.reads.Add(1)
		return true
	case ans.Err == nil && ans.Status == http.StatusPartialContent:
		r.c.t.Errorf("node %d gave other bytes of the file of node %d", at, of)
		return false
	case after == int64(at) || before == int64(at):
		return true // it was asked as it went
	case (before == int64(of) || after == int64(of)) && ans.Err == nil && (ans.Code() == protocol.KindOwnerDown || ans.Code() == protocol.KindDraining):
		r.refused.Add(1)
		return true
	default:
		r.c.t.Errorf("the file of node %d at node %d while node %d was away: %d, %v: %.300s", of, at, after, ans.Status, ans.Err, ans.Body)
		return false
	}
}

// restart restarts a node in the middle of downloads.
func (r *rolling) restart(i int) {
	t := r.c.t
	t.Helper()
	n, other := r.c.nodes[i], (i+1)%len(r.c.nodes)
	slow := map[*harness.Slow][sha256.Size]byte{}
	for at, of := range map[int]int{i: other, other: i} {
		s, err := harness.OpenSlow(r.c.nodes[at].listen, r.uids[of], rollingSize)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Take(64 << 10); err != nil {
			t.Fatal(err)
		}
		slow[s] = sha256.Sum256(r.datas[of])
	}
	r.away.Store(int64(i))
	stopped := make(chan int, 1)
	go func() { stopped <- n.Stop() }()
	harness.Eventually(t, "the node accepts nothing new", func() bool { return r.apis[i].Do("GET", "/readyz", nil, 0).Status != http.StatusOK })
	for s, want := range slow {
		if err := s.Rest(want); err != nil {
			t.Errorf("a slow download while node %d stopped: %v", i, err)
		}
	}
	if exit := <-stopped; exit != 0 {
		t.Errorf("node %d left with %d:\n%s", i, exit, n.Stderr())
	}
	n.Start()
	for at := range r.c.nodes {
		for of := range r.c.nodes {
			harness.Eventually(t, "all files read at all nodes", func() bool {
				return r.apis[at].Do("GET", "/v1/files/"+r.uids[of].String()+"/content", nil, 0, "Range", "bytes=0-0").Status == http.StatusPartialContent
			})
		}
	}
	r.away.Store(nobody)
}

func (r *rolling) stop() {
	r.over.Store(true)
	r.wg.Wait()
}

// end ends the clients; every file is whole, at every node.
func (r *rolling) end() {
	r.stop()
	r.c.t.Logf("%d reads, %d refused", r.reads.Load(), r.refused.Load())
	for i, uid := range r.uids {
		for _, api := range r.apis {
			api.MustHold(uid, r.datas[i])
		}
	}
}
