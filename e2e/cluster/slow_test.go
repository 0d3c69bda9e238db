//go:build servers && linux

package cluster

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
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
		c.slowly(c.nodes[1], f.UID, data)
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

// slowly reads a file at a node so often at once, no faster than the slowest of
// all readers, and compares what a few of them get.
func (c *cluster) slowly(n *node, uid protocol.UID, data []byte) {
	c.t.Helper()
	readers := make([]*slowReader, slowReaders)
	each(c.t, func(i int) (err error) {
		readers[i], err = openSlow(n.listen, uid, int64(len(data)))
		return err
	})
	for range 4 {
		each(c.t, func(i int) error { return readers[i].take(64 << 10) })
	}
	each(c.t, func(i int) error {
		defer readers[i].conn.Close()
		if i%50 != 0 {
			return nil
		}
		if err := readers[i].take(len(data) - len(readers[i].got)); err != nil {
			return err
		}
		if !bytes.Equal(readers[i].got, data) {
			return fmt.Errorf("reader %d got other bytes", i)
		}
		return nil
	})
}

// each does it for every reader at once.
func each(t *testing.T, do func(i int) error) {
	t.Helper()
	var running sync.WaitGroup
	errs := make([]error, slowReaders)
	for i := range errs {
		running.Go(func() { errs[i] = do(i) })
	}
	running.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
	}
}

// slowReader takes a file piece by piece, over a connection on which hardly
// anything is under way.
type slowReader struct {
	conn net.Conn
	body io.Reader
	got  []byte
}

func openSlow(address string, uid protocol.UID, size int64) (*slowReader, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(4 * harness.Patience))
	}
	if err == nil {
		_, err = fmt.Fprintf(conn, "GET /v1/files/%s/content HTTP/1.1\r\nHost: %s\r\n\r\n", uid, address)
	}
	if err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != size {
		return nil, fmt.Errorf("answered %s with %d bytes", resp.Status, resp.ContentLength)
	}
	return &slowReader{conn: conn, body: resp.Body}, nil
}

func (r *slowReader) take(n int) error {
	piece := make([]byte, n)
	m, err := io.ReadFull(r.body, piece)
	r.got = append(r.got, piece[:m]...)
	return err
}
