//go:build servers && linux

package cluster

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/e2e/s3server"
	"github.com/osproxy/osproxy/protocol"
)

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
	for _, n := range c.nodes {
		writeFile(t, n.config, strings.Replace(readFile(t, n.config), "stores: {", shared, 1))
		n.restart(t)
	}
	c.meet()
	osp := harness.NewOSP(t, bin, c.nodes[0].URL)
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
	c.finish()
}
