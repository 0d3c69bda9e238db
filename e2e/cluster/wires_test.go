//go:build servers && linux

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestBrokenWires: what lies between the nodes loses what goes one way, is slow,
// or resets its connections. Requests through it are answered, as such or with
// a 503, and when it is whole again everything goes on.
func TestBrokenWires(t *testing.T) {
	p := onDisks(3)
	p.apart = true
	c := start(t, p)
	owner, other := c.nodes[0], c.nodes[1].API()
	data := harness.Content(1, protocol.MinPartSize+500_000)
	f := owner.API().MustUpload("file", data)
	for i, breaks := range []func(*wire){
		func(w *wire) { w.lose(there) },
		func(w *wire) { w.lose(back) },
		func(w *wire) { w.lose(there, back) },
	} {
		u := owner.API().MustBegin(fmt.Sprintf("upload-%d", i), int64(len(data)))
		other.Require(other.PutPart(u.UID, 1, partOf(u, data, 0)), http.StatusOK)
		breaks(owner.peers)
		c.down("a read", func() harness.Answer { return other.Content(f.UID) })
		c.down("a part", func() harness.Answer { return other.PutPart(u.UID, 2, partOf(u, data, 1)) })
		owner.peers.heal()
		harness.Eventually(t, "the upload goes on", func() bool { return other.PutPart(u.UID, 2, partOf(u, data, 1)).Status == http.StatusOK })
		g := other.MustFile(other.Commit(u.UID), http.StatusOK)
		c.reads(g.UID, data)
	}
	few := data[:200_000]
	owner.peers.slow(20 * time.Millisecond)
	uid := c.insists(owner, other, few)
	harness.Eventually(t, "it reads over a slow wire", func() bool {
		ans := other.Content(uid)
		return ans.Err == nil && ans.Status == http.StatusOK && string(ans.Body) == string(few)
	})
	owner.peers.heal()
	c.resets(owner, f, data)
	c.finish()
}

// resets has the wire to a node reset its connections while files are read and
// put through it: what ends well is right.
func (c *cluster) resets(owner *node, f protocol.File, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			owner.peers.reset()
			select {
			case <-time.After(30 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	other := c.nodes[2].API()
	put, puts := make(chan protocol.UID, 1), c.nodes[1].API()
	sent := data[:60_000]
	go func() { put <- c.insists(owner, puts, sent) }()
	whole := 0
	for range 100 {
		ans := other.Content(f.UID)
		switch {
		case ans.Err == nil && ans.Status == http.StatusOK:
			whole++
			if string(ans.Body) != string(data) {
				c.t.Errorf("a read that ended well has %d bytes, and not those of the file", len(ans.Body))
			}
		case ans.Err == nil && ans.Status != http.StatusServiceUnavailable:
			c.t.Errorf("a read over a wire that resets: %d %.300s", ans.Status, ans.Body)
		}
	}
	uid := <-put
	cancel()
	<-ended
	c.reads(uid, sent)
	c.t.Logf("%d of 100 reads came through resets whole", whole)
	harness.Eventually(c.t, "reads go on", func() bool { return other.Content(f.UID).Status == http.StatusOK })
}

// insists puts an upload of a node through another, each request again until it is
// answered 200: over a wire that is slow, or resets, the node may seem to be down.
func (c *cluster) insists(owner *node, by *harness.API, data []byte) protocol.UID {
	u, ans := owner.API().Begin("insisted on", int64(len(data)))
	if ans.Err != nil {
		c.t.Error(ans.Err)
		return 0
	}
	until := func(what string, ask func() harness.Answer) {
		for end := time.Now().Add(harness.Patience); ; {
			ans := ask()
			if ans.Err == nil && ans.Status == http.StatusOK {
				return
			}
			if ans.Err == nil && ans.Status != http.StatusServiceUnavailable || time.Now().After(end) {
				c.t.Errorf("%s over a broken wire: %d, %v: %.300s", what, ans.Status, ans.Err, ans.Body)
				return
			}
		}
	}
	until("a part", func() harness.Answer { return by.PutPart(u.UID, 1, data) })
	until("a commit", func() harness.Answer { return by.Commit(u.UID) })
	return u.UID
}
