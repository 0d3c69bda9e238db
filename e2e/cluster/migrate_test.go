//go:build servers && linux

package cluster

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

// oneHasNot expects of the second node, which does not have the store that the first
// has, that files are read at it all the same, and that nothing is moved there.
func oneHasNot(c *cluster, osp *harness.OSP) {
	c.t.Helper()
	data := harness.Content(3, 30_000)
	f := c.nodes[0].API().MustFile(c.nodes[0].API().PutFile("new", data), http.StatusCreated)
	if ans := c.nodes[1].API().Content(f.UID); ans.Status != http.StatusOK || string(ans.Body) != string(data) {
		c.t.Errorf("a file in a store that the node has not: %d %.200s, %v", ans.Status, ans.Body, ans.Err)
	}
	exit, p := osp.Run("admin", "migrate", "--from", "disk", "--to", "shared")
	// The one node is refused for the other, which knows no such store: two ends of two.
	if exit != 3 || !strings.Contains(p.Stderr(), "node "+c.nodes[1].id(c.t)+" has none of that name") {
		c.t.Errorf("to a store that a node has not: exit %d:\n%s%s", exit, p.Stdout(), p.Stderr())
	}
}

// leavesForGood takes a node out whose disk was moved, as docs/operations.md says,
// and removes all that it had.
func (c *cluster) leavesForGood(osp *harness.OSP, n *node) {
	c.t.Helper()
	id := n.id(c.t)
	osp.Server = c.nodes[0].URL
	harness.Eventually(c.t, "nothing needs the node", func() bool {
		_, p := osp.Run("admin", "nodes", "drain", id)
		return strings.Contains(p.Stdout(), "it can be stopped")
	})
	if exit := n.Stop(); exit != 0 {
		c.t.Errorf("it left with %d:\n%s", exit, n.Stderr())
	}
	if err := os.RemoveAll(filepath.Dir(n.config)); err != nil {
		c.t.Error(err)
	}
	c.nodes = slices.DeleteFunc(c.nodes, func(other *node) bool { return other == n })
}

// TestDisksAreMovedToASharedStore: one command, at any node, has each node move what
// lies on its disk to a store that all share; then a node that dies takes nothing
// along. What all share is not moved to one node's disk.
func TestDisksAreMovedToASharedStore(t *testing.T) {
	c := start(t, onDisks(2))
	data := [][]byte{harness.Content(1, 30_000), harness.Content(2, protocol.MinPartSize)}
	var files []protocol.File
	for i, n := range c.nodes {
		files = append(files, n.API().MustFile(n.API().PutFile("f", data[i][:30_000]), http.StatusCreated))
	}
	s3 := s3server.Start(t, s3server.MinIO())
	shared := fmt.Sprintf("default_store: disk\nstores: {shared: {type: s3, endpoint: %q, region: %s, bucket: %s, access_key_id: %s, secret_access_key: %s, path_style: true}, ",
		s3.Endpoint, s3.Region, s3.Bucket(t), s3.AccessKeyID, s3.SecretAccessKey)
	configured := func(n *node, text string) {
		writeFile(t, n.config, strings.Replace(readFile(t, n.config), "stores: {", text, 1))
		n.restart(t)
	}
	configured(c.nodes[0], strings.Replace(shared, "default_store: disk", "default_store: shared", 1))
	c.meet()
	osp := harness.NewOSP(t, bin, c.nodes[0].URL)
	oneHasNot(c, osp)
	configured(c.nodes[1], shared)
	c.meet()
	if exit, p := osp.Run("admin", "migrate", "--from", "disk", "--to", "shared", "--follow"); exit != 0 || strings.Count(p.Stdout(), "\tdone\n") != 2 {
		t.Fatalf("exit %d:\n%s%s", exit, p.Stdout(), p.Stderr())
	}
	osp.Server = c.nodes[1].URL
	if exit, p := osp.Run("admin", "migrate", "--from", "shared", "--to", "disk"); exit != 2 || !strings.Contains(p.Stderr(), "the others would have no place for new blobs") {
		t.Errorf("the way back: exit %d:\n%s%s", exit, p.Stdout(), p.Stderr())
	}
	c.nodes[1].Kill()
	for i, f := range files {
		if ans := c.nodes[0].API().Content(f.UID); ans.Status != http.StatusOK || string(ans.Body) != string(data[i][:30_000]) {
			t.Errorf("file %d, with the one node that is left: %d, %d bytes, %v", i, ans.Status, len(ans.Body), ans.Err)
		}
	}
	c.nodes[1].Start()
	c.leavesForGood(osp, c.nodes[1])
	for i, f := range files {
		c.nodes[0].API().MustHold(f.UID, data[i][:30_000])
	}
	c.finish()
}
