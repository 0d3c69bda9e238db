//go:build servers && linux

package cluster

import (
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/e2e/harness"
)

const (
	slowReaders = 200
	// mostMemory is what a node may take that hands on so many downloads, and
	// sameMemory what two peaks may differ in that are the same.
	mostMemory = 96 << 20
	sameMemory = 16 << 20
)

// TestSlowDownloadsThroughAPeer: what 200 downloads that hardly move cost the
// node that hands them on, and the one that has the file, does not depend on the
// size of the file.
func TestSlowDownloadsThroughAPeer(t *testing.T) {
	c := start(t, onDisks(2))
	var peaks [2][2]int64
	for i, size := range []int64{4 << 20, 64 << 20} {
		data := harness.Content(uint64(i), size)
		f := c.nodes[0].API().MustUpload("slow", data)
		for _, n := range c.nodes { // what the upload took is no part of it
			if exit := n.Stop(); exit != 0 {
				t.Errorf("a node left with %d:\n%s", exit, n.Stderr())
			}
			n.Start()
		}
		c.nodes[1].ready(t)
		harness.Eventually(t, "the nodes know each other", func() bool {
			return c.nodes[1].API().Do("GET", "/v1/files/"+f.UID.String()+"/content", nil, 0, "Range", "bytes=0-0").Status == http.StatusPartialContent
		})
		harness.Slowly(t, c.nodes[1].listen, f.UID, data, slowReaders, nil)
		for k, n := range c.nodes {
			peaks[i][k] = harness.PeakMemory(t, n.PID())
		}
	}
	t.Logf("peaks of the file's node and of the other, in bytes: 4 MiB %v, 64 MiB %v", peaks[0], peaks[1])
	for k := range c.nodes {
		small, large := peaks[0][k], peaks[1][k]
		if most := max(small, large); most > mostMemory {
			t.Errorf("node %d took %d bytes, more than %d", k, most, mostMemory)
		}
		if large > small+sameMemory {
			t.Errorf("node %d took %d bytes for a file of 4 MiB and %d for one of 64 MiB", k, small, large)
		}
	}
	c.finish()
}
