//go:build servers && linux

package cluster

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// downWithin is how long it may take until what a dead node has is refused.
const downWithin = 2 * time.Second

// down waits until a request is answered owner_down, which it must be in time.
func (c *cluster) down(what string, ask func() harness.Answer) {
	c.t.Helper()
	var ans harness.Answer
	for end := time.Now().Add(downWithin); ; {
		if ans = ask(); ans.Err == nil && ans.Code() == protocol.KindOwnerDown {
			break
		}
		if time.Now().After(end) {
			c.t.Errorf("%s: %v after its node died it is still answered %d, %v: %.300s", what, downWithin, ans.Status, ans.Err, ans.Body)
			return
		}
	}
	if ans.Status != http.StatusServiceUnavailable || ans.Header.Get("Retry-After") == "" {
		c.t.Errorf("%s: %d, Retry-After %q", what, ans.Status, ans.Header.Get("Retry-After"))
	}
}

// TestOwnerKilled: the node that has a file and an upload is killed in the
// middle of a part. Whatever needs it is refused within two seconds, and told
// when to come back; all else is served meanwhile; when it is there again the
// upload goes on.
func TestOwnerKilled(t *testing.T) {
	c := start(t, onDisks(3))
	owner, other := c.nodes[0], c.nodes[1].API()
	data, kept, elsewhere := harness.Content(1, 3*protocol.MinPartSize), harness.Content(2, 100_000), harness.Content(3, 100_000)
	f := owner.API().MustFile(owner.API().PutFile("kept", kept), http.StatusCreated)
	g := other.MustFile(other.PutFile("elsewhere", elsewhere), http.StatusCreated)
	u := owner.API().MustBegin("upload", int64(len(data)))
	other.Require(other.PutPart(u.UID, 1, partOf(u, data, 0)), http.StatusOK)
	if ans := c.halfAPart(owner, u, partOf(u, data, 1)); ans.Err == nil {
		t.Errorf("the part that was cut was answered %d", ans.Status)
	}
	upload := "/v1/uploads/" + u.UID.String()
	for what, ask := range map[string]func() harness.Answer{
		"a read":   func() harness.Answer { return other.Content(f.UID) },
		"a part":   func() harness.Answer { return other.PutPart(u.UID, 2, partOf(u, data, 1)) },
		"a commit": func() harness.Answer { return other.Commit(u.UID) },
		"an abort": func() harness.Answer { return other.Do("DELETE", upload, nil, 0) },
	} {
		c.down(what, ask)
	}
	if ans := other.Do("GET", "/readyz", nil, 0); ans.Status != http.StatusOK || !strings.Contains(string(ans.Body), owner.id(t)) {
		t.Errorf("the other says of itself: %d %s", ans.Status, ans.Body)
	}
	for _, n := range c.nodes[1].list(t).Nodes {
		if n.Living && n.Reachable == nil || n.Reachable != nil && *n.Reachable == (n.ID == owner.id(t)) {
			t.Errorf("of a node, the first of which is dead, is told %+v", n)
		}
	}
	if ans := other.Content(f.UID); !strings.Contains(string(ans.Body), owner.id(t)) {
		t.Errorf("an administrator is not told which node is down: %s", ans.Body)
	}
	for i := 1; i < 3; i++ {
		api := c.nodes[i].API()
		api.MustHold(g.UID, elsewhere)
		api.MustUpload("new", harness.Content(uint64(10+i), 50_000))
		api.Require(api.JSON("GET", "/v1/files/"+f.UID.String(), nil), http.StatusOK)
	}
	owner.Start()
	harness.Eventually(t, "the upload goes on", func() bool { return other.PutPart(u.UID, 2, partOf(u, data, 1)).Status == http.StatusOK })
	other.Require(other.PutPart(u.UID, 3, partOf(u, data, 2)), http.StatusOK)
	done := other.MustFile(other.Commit(u.UID), http.StatusOK)
	c.reads(done.UID, data)
	c.reads(f.UID, kept)
	c.stopped(owner, f.UID, kept)
	c.finish()
}

// stopped has the owner of a file stand still, as a process does that is stopped or
// a machine that hangs: connections to it are taken, and nothing is answered.
func (c *cluster) stopped(owner *node, uid protocol.UID, data []byte) {
	c.t.Helper()
	owner.Signal(syscall.SIGSTOP)
	c.t.Cleanup(func() { owner.Signal(syscall.SIGCONT) })
	other := c.nodes[1].API()
	c.down("a read of a node that stands still", func() harness.Answer { return other.Content(uid) })
	other.MustUpload("beside", harness.Content(30, 50_000))
	owner.Signal(syscall.SIGCONT)
	harness.Eventually(c.t, "the file reads again", func() bool { return other.Content(uid).Status == http.StatusOK })
	c.reads(uid, data)
}

// TestOwnerKilledInACommit: the node is killed at steps of a commit that came by
// another. Its client asks again until it is answered, and has the file.
func TestOwnerKilledInACommit(t *testing.T) {
	p := onDisks(3)
	p.binaries = mortal
	c := start(t, p)
	owner, other := c.nodes[0], c.nodes[1].API()
	for i, point := range []string{"commit.checked", "commit.synced", "commit.recorded"} {
		if exit := owner.Stop(); exit != 0 {
			t.Errorf("the owner left with %d", exit)
		}
		owner.Start("OSPD_CRASH_AT=" + point)
		data := harness.Content(uint64(i), 300_000)
		u := owner.API().MustBegin(point, int64(len(data)))
		harness.Eventually(t, "the part is taken", func() bool { return other.PutPart(u.UID, 1, data).Status == http.StatusOK })
		if ans := other.Commit(u.UID); ans.Err == nil && ans.Status == http.StatusOK {
			t.Errorf("%s: a commit was answered by a node that died in it", point)
		}
		<-owner.Done()
		owner.Start()
		harness.Eventually(t, "the commit is answered", func() bool { return other.Commit(u.UID).Status == http.StatusOK })
		for _, n := range c.nodes {
			harness.Eventually(t, "the file reads", func() bool { return n.API().Content(u.UID).Status == http.StatusOK })
		}
		c.reads(u.UID, data)
	}
	c.finish()
}

// TestEqualContentOfADeadNode: bytes that lie on a dead node alone are put again
// at another. That makes a new copy, by which all files of the content read.
func TestEqualContentOfADeadNode(t *testing.T) {
	c := start(t, onDisks(3))
	data := harness.Content(1, 2*protocol.MinPartSize+5)
	f := c.nodes[0].API().MustUpload("first", data)
	c.nodes[0].Kill()
	other := c.nodes[1].API()
	c.down("a read", func() harness.Answer { return other.Content(f.UID) })
	g := other.MustUpload("second", data)
	for _, n := range c.nodes[1:] {
		n.API().MustHold(g.UID, data)
		n.API().MustHold(f.UID, data)
	}
	c.nodes[0].Start()
	c.reads(f.UID, data)
	c.reads(g.UID, data)
	c.finish()
}

// TestStaleDirectory: what says on which node an upload is, is wrong. A request
// goes one step, is refused, and does not go round.
func TestStaleDirectory(t *testing.T) {
	c := start(t, onDisks(3))
	data := harness.Content(1, 50_000)
	u := c.nodes[0].API().MustBegin("astray", int64(len(data)))
	home := c.nodes[0].id(t)
	c.sql(`UPDATE uploads SET node = $1 WHERE uid = $2`, c.nodes[1].id(t), int64(u.UID))
	for i, n := range c.nodes {
		ans := n.API().PutPart(u.UID, 1, data)
		if ans.Err != nil || ans.Status < 500 {
			t.Errorf("a part at node %d: %d, %v: %.300s", i, ans.Status, ans.Err, ans.Body)
		}
	}
	c.sql(`UPDATE uploads SET node = $1 WHERE uid = $2`, home, int64(u.UID))
	api := c.nodes[2].API()
	api.Require(api.PutPart(u.UID, 1, data), http.StatusOK)
	f := api.MustFile(api.Commit(u.UID), http.StatusOK)
	c.reads(f.UID, data)
	c.finish()
}

// TestEarlyAnswersOfTheOwner: what the owner refuses before it took the body is
// refused as such by every node.
func TestEarlyAnswersOfTheOwner(t *testing.T) {
	p := onDisks(3)
	p.disk = harness.SmallDisk(t, "192m")
	c := start(t, p)
	small, other := c.nodes[0].API(), c.nodes[1].API()
	part := make([]byte, protocol.MinPartSize)
	u := small.MustBegin("committed", 100)
	other.Require(other.PutPart(u.UID, 1, part[:100]), http.StatusOK)
	other.MustFile(other.Commit(u.UID), http.StatusOK)
	open, ans := small.Begin("open", 3*protocol.MinPartSize)
	small.Require(ans, http.StatusCreated)
	ans = small.JSON("POST", "/v1/uploads", map[string]any{"name": "any size"})
	small.Require(ans, http.StatusCreated)
	var unknown protocol.Upload
	mustJSON(t, ans.Body, &unknown)
	writeFile(t, filepath.Join(p.disk, "ballast"), string(make([]byte, 187<<20)))
	for what, c := range map[string]struct {
		ask    func() harness.Answer
		status int
		kind   protocol.Kind
	}{
		"a part of what is committed": {func() harness.Answer { return other.PutPart(u.UID, 1, part) }, http.StatusConflict, protocol.KindCommitted},
		"a part too many":             {func() harness.Answer { return other.PutPart(unknown.UID, 10_001, part) }, http.StatusRequestEntityTooLarge, protocol.KindTooManyParts},
		"a part beyond the last":      {func() harness.Answer { return other.PutPart(open.UID, 4, part) }, http.StatusBadRequest, protocol.KindBadPart},
		"a part on a full disk":       {func() harness.Answer { return other.PutPart(open.UID, 2, part) }, http.StatusInsufficientStorage, protocol.KindStoreFull},
	} {
		if ans := c.ask(); ans.Err != nil || ans.Status != c.status || ans.Code() != c.kind {
			t.Errorf("%s: %d %s, %v; want %d", what, ans.Status, ans.Body, ans.Err, c.status)
		}
	}
	c.avoids(c.nodes[0])
	c.finish()
}

// avoids has a node whose disk is full take what is new, and put it elsewhere.
func (c *cluster) avoids(full *node) {
	c.t.Helper()
	data := harness.Content(40, 2*protocol.MinPartSize)
	var u protocol.Upload
	harness.Eventually(c.t, "an upload begins", func() (begun bool) {
		var ans harness.Answer
		u, ans = full.API().Begin("new", int64(len(data)))
		// Until the node has looked at its disk again it keeps what is new.
		return ans.Status == http.StatusCreated && full.API().PutPart(u.UID, 1, partOf(u, data, 0)).Status == http.StatusOK
	})
	full.API().MustPutParts(u, data)
	full.API().MustFile(full.API().Commit(u.UID), http.StatusOK)
	f := full.API().MustFile(full.API().PutFile("small", data[:1000]), http.StatusCreated)
	c.reads(u.UID, data)
	c.reads(f.UID, data[:1000])
}

// TestRollingRestartOnDisks is TestRollingRestart where a node's files are away
// while it is, and clients read them.
func TestRollingRestartOnDisks(t *testing.T) {
	c := start(t, onDisks(3))
	c.rollingRestart()
	c.rollingReads()
	c.finish()
}
