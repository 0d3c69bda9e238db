//go:build servers && linux

package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestNodeKilledAtWork: the node that takes a part is killed with half of it. The
// client sends the part to another, which has all that was answered. And so are
// nodes at each step of a commit, and of a put.
func TestNodeKilledAtWork(t *testing.T) {
	p := onMinIO(t, 3)
	p.binaries = mortal
	c := start(t, p)
	data := harness.Content(2, 3*protocol.MinPartSize)
	first, second := c.nodes[1], c.nodes[2].API()
	u := first.API().MustBegin("killed", int64(len(data)))
	first.API().Require(first.API().PutPart(u.UID, 1, partOf(u, data, 0)), http.StatusOK)
	if ans := c.halfAPart(first, u, partOf(u, data, 1)); ans.Err == nil {
		t.Errorf("the part that was cut was answered: %d %s", ans.Status, ans.Body)
	}
	if seen, ans := second.Upload(u.UID); ans.Err != nil || len(seen.Parts) != 1 {
		t.Errorf("another node lists %d parts: %d %v", len(seen.Parts), ans.Status, ans.Err)
	}
	for i := 1; i < 3; i++ {
		second.Require(second.PutPart(u.UID, protocol.PartNumber(i+1), partOf(u, data, i)), http.StatusOK)
	}
	f := second.MustFile(second.Commit(u.UID), http.StatusOK)
	first.Start()
	c.reads(f.UID, data)
	for i, point := range []string{"part.recorded", "commit.checked", "commit.synced", "commit.recorded"} {
		c.dies(first, point, harness.Content(uint64(50+i), protocol.MinPartSize+70_000))
	}
	for i, point := range []string{"put.stored", "put.recorded"} {
		c.diesInAPut(first, point, harness.Content(uint64(60+i), 5000))
	}
	for _, n := range c.nodes {
		for _, seen := range n.list(t).Nodes {
			if seen.HeldBytes == nil || *seen.HeldBytes != 0 {
				t.Errorf("of a store that all nodes share one of them holds something alone: %+v", seen)
			}
		}
	}
	c.finish()
}

// dies has a node die at a step of an upload. Others take what it had not
// answered, and commit, while it is dead.
func (c *cluster) dies(n *node, point string, data []byte) {
	t := c.t
	t.Helper()
	n.restart(t, "OSPD_CRASH_AT="+point)
	second, third := c.nodes[0].API(), c.nodes[2].API()
	u := second.MustBegin(point, int64(len(data)))
	second.Require(second.PutPart(u.UID, 1, partOf(u, data, 0)), http.StatusOK)
	ans := n.API().PutPart(u.UID, 2, partOf(u, data, 1))
	if ans.Err == nil {
		ans = n.API().Commit(u.UID)
	}
	if ans.Err == nil {
		t.Errorf("%s: a node that died at it answered %d: %s", point, ans.Status, ans.Body)
	}
	<-n.Done()
	if ans := second.PutPart(u.UID, 2, partOf(u, data, 1)); ans.Status != http.StatusOK && ans.Code() != protocol.KindCommitted {
		t.Errorf("%s: the part again, at another node: %d, %v: %s", point, ans.Status, ans.Err, ans.Body)
	}
	f := third.MustFile(third.Commit(u.UID), http.StatusOK)
	second.MustHold(f.UID, data)
	n.Start()
	c.reads(f.UID, data)
	if again := n.API().MustFile(n.API().Commit(u.UID), http.StatusOK); again.ETag != f.ETag {
		t.Errorf("%s: the commit again gives %+v, it was %+v", point, again, f)
	}
}

// diesInAPut has a node die in a put under a key, which is then asked of another:
// there is one file.
func (c *cluster) diesInAPut(n *node, point string, data []byte) {
	t := c.t
	t.Helper()
	n.restart(t, "OSPD_CRASH_AT="+point)
	put := func(api *harness.API) harness.Answer {
		return api.Do("POST", "/v1/files?name="+point, bytes.NewReader(data), int64(len(data)), protocol.HeaderIdempotencyKey, point)
	}
	if ans := put(n.API()); ans.Err == nil {
		t.Errorf("%s: a node that died at it answered %d: %s", point, ans.Status, ans.Body)
	}
	<-n.Done()
	other := c.nodes[2].API()
	f := other.MustFile(put(other), http.StatusCreated)
	n.Start()
	if again := n.API().MustFile(put(n.API()), http.StatusCreated); again.UID != f.UID {
		t.Errorf("%s: the put again makes %s beside %s", point, again.UID, f.UID)
	}
	c.reads(f.UID, data)
	ans := other.JSON("GET", "/v1/files?name="+point, nil)
	other.Require(ans, http.StatusOK)
	var list protocol.FileList
	if mustJSON(t, ans.Body, &list); len(list.Files) != 1 {
		t.Errorf("%s: the files of that name are %s", point, ans.Body)
	}
}

// halfAPart sends part 2 to a node, which is killed when half of it is on its
// way.
func (c *cluster) halfAPart(n *node, u protocol.Upload, data []byte) harness.Answer {
	body, half := io.Pipe()
	answer := make(chan harness.Answer, 1)
	go func() {
		answer <- harness.NewAPI(c.t, "http://"+n.listen).Do("PUT", fmt.Sprintf("/v1/uploads/%s/parts/2", u.UID), body, int64(len(data)))
		body.Close()
	}()
	if _, err := half.Write(data[:len(data)/2]); err != nil {
		c.t.Error(err)
	}
	n.Kill()
	_, _ = half.Write(data[len(data)/2:]) // nobody reads it
	half.Close()
	return <-answer
}
