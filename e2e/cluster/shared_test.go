//go:build servers && linux

package cluster

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// onMinIO is a plan of nodes that share a bucket.
func onMinIO(t *testing.T, nodes int) plan {
	t.Helper()
	return plan{nodes: nodes, binaries: bin, minio: s3server.Start(t, s3server.MinIO())}
}

// TestPartsSpreadOverNodes: the parts of one upload go to all nodes in turn, one
// commits it, and each reads it, whole and in ranges, before its parts are one
// object and after.
func TestPartsSpreadOverNodes(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			c := start(t, onMinIO(t, nodes))
			c.spread(nodes + 1)
			c.finish()
		})
	}
}

// spread puts one file in that many parts over all nodes and has each read it.
func (c *cluster) spread(parts int) {
	c.t.Helper()
	data := harness.Content(1, int64(parts)*protocol.MinPartSize-12_345)
	u := c.nodes[0].API().MustBegin("spread", int64(len(data)))
	for i := range parts {
		api := c.nodes[(i+1)%len(c.nodes)].API()
		api.Require(api.PutPart(u.UID, protocol.PartNumber(i+1), partOf(u, data, i)), http.StatusOK)
	}
	for i, n := range c.nodes {
		if seen, ans := n.API().Upload(u.UID); ans.Err != nil || len(seen.Parts) != parts {
			c.t.Errorf("node %d lists %d parts of %d: %d %v", i, len(seen.Parts), parts, ans.Status, ans.Err)
		}
	}
	last := c.nodes[len(c.nodes)-1].API()
	f := last.MustFile(last.Commit(u.UID), http.StatusOK)
	c.reads(f.UID, data)
	c.settle()
	c.reads(f.UID, data)
}

// partOf are the bytes of the i-th part, counted from 0.
func partOf(u protocol.Upload, data []byte, i int) []byte {
	off := int64(i) * u.PartSize
	return data[off:min(off+u.PartSize, int64(len(data)))]
}

// reads has every node read a file, whole and in ranges, under conditions.
func (c *cluster) reads(uid protocol.UID, data []byte) {
	c.t.Helper()
	size := int64(len(data))
	for i, n := range c.nodes {
		api := n.API()
		api.MustHold(uid, data)
		etag := api.Content(uid).Header.Get("ETag")
		path := "/v1/files/" + uid.String() + "/content"
		for _, r := range [][2]int64{{0, 0}, {size - 1, size - 1}, {size / 2, size/2 + 70_000}, {protocol.MinPartSize - 5, protocol.MinPartSize + 5}} {
			if r[1] >= size {
				continue
			}
			ans := api.Do("GET", path, nil, 0, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]), "If-Range", etag)
			if ans.Err != nil || ans.Status != http.StatusPartialContent || !bytes.Equal(ans.Body, data[r[0]:r[1]+1]) {
				c.t.Errorf("node %d: bytes %v: %d, %v, %d bytes", i, r, ans.Status, ans.Err, len(ans.Body))
			}
			if want := fmt.Sprintf("bytes %d-%d/%d", r[0], r[1], size); ans.Header.Get("Content-Range") != want {
				c.t.Errorf("node %d: Content-Range is %q, want %q", i, ans.Header.Get("Content-Range"), want)
			}
		}
		for header, status := range map[string]int{"If-None-Match": http.StatusNotModified, "If-Match": http.StatusOK} {
			if ans := api.Do("HEAD", path, nil, 0, header, etag); ans.Status != status {
				c.t.Errorf("node %d: HEAD with %s: %d", i, header, ans.Status)
			}
		}
		if ans := api.Do("GET", path, nil, 0, "Range", fmt.Sprintf("bytes=%d-", size)); ans.Status != http.StatusRequestedRangeNotSatisfiable {
			c.t.Errorf("node %d: a range beyond the end: %d", i, ans.Status)
		}
		if ans := api.Do("GET", path, nil, 0, "If-Match", `"another"`); ans.Status != http.StatusPreconditionFailed {
			c.t.Errorf("node %d: another's If-Match: %d", i, ans.Status)
		}
	}
}

// settle waits until no composition is left to do.
func (c *cluster) settle() {
	c.t.Helper()
	api := c.nodes[0].API()
	harness.Eventually(c.t, "compositions end", func() bool {
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

// TestPutOutlivesItsNode: osp put goes on while the nodes it talks to are killed
// one after the other.
func TestPutOutlivesItsNode(t *testing.T) {
	c := start(t, onMinIO(t, 3))
	data := harness.Content(3, 6*protocol.MinPartSize+100)
	path := harness.WriteFile(t, "file", data)
	gate := harness.NewGate(t, "http://"+c.front().address(), harness.Up, int64(len(data)/4))
	osp := harness.NewOSP(t, bin, gate.URL)
	p := osp.Start("put", "--json", path)
	for i, n := range c.nodes {
		<-gate.Reached()
		n.Kill()
		gate.Reopen(t, "http://"+c.front().address(), int64(len(data)*(i+2)/4))
		harness.Eventually(t, "the put goes on", func() bool { up, _ := gate.Passed(); return up > int64(len(data)*(i+1)/4) })
		n.Start()
	}
	gate.Reopen(t, "http://"+c.front().address(), -1)
	exit := p.Wait()
	results := harness.Results(t, p.Stdout())
	if exit != 0 || len(results) != 1 || !results[0].OK {
		t.Fatalf("osp left with %d:\n%s%s", exit, p.Stdout(), p.Stderr())
	}
	c.reads(results[0].UID, data)
	c.finish()
}
