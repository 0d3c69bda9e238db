//go:build servers && linux

package cluster

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/e2e/harness"
	"github.com/osproxy/osproxy/protocol"
)

// TestFilesOnDisks: each node has files on its own disk alone; every one puts,
// reads and deletes all of them, in requests of every kind. They know each other by
// certificates, whatever their clocks show, and ask nobody in between, whatever the
// environment says of proxies (row C12 of the predecessor).
func TestFilesOnDisks(t *testing.T) {
	proxy := newProxy(t)
	p := onDisks(3)
	p.certified, p.host, p.binaries = true, "127.0.0.1", anyClock(t, bin)
	c := start(t, p)
	c.nodes[1].restart(t, ahead(-time.Hour))
	c.nodes[2].restart(t, ahead(24*time.Hour))
	c.meet()
	for i, n := range c.nodes {
		other := c.nodes[(i+1)%3].API()
		small := harness.Content(uint64(100+i), 20_000)
		f := n.API().MustFile(n.API().PutFile("small", small), http.StatusCreated)
		c.reads(f.UID, small)
		large := harness.Content(uint64(200+i), 2*protocol.MinPartSize+4321)
		u := n.API().MustBegin("large", int64(len(large)))
		for k := range 3 {
			api := c.nodes[(i+k)%3].API()
			api.Require(api.PutPart(u.UID, protocol.PartNumber(k+1), partOf(u, large, k)), http.StatusOK)
		}
		if seen, ans := other.Upload(u.UID); ans.Err != nil || len(seen.Parts) != 3 {
			t.Errorf("another node lists %d parts: %d %v", len(seen.Parts), ans.Status, ans.Err)
		}
		g := other.MustFile(other.Commit(u.UID), http.StatusOK)
		if again := n.API().MustFile(n.API().Commit(u.UID), http.StatusOK); again.ETag != g.ETag {
			t.Errorf("the commit repeated gives %v, it was %v", again, g)
		}
		c.reads(g.UID, large)
		aborted := n.API().MustBegin("aborted", 100)
		n.API().Require(n.API().PutPart(aborted.UID, 1, make([]byte, 100)), http.StatusOK)
		other.Require(other.Do("DELETE", "/v1/uploads/"+aborted.UID.String(), nil, 0), http.StatusNoContent)
		other.Require(other.Do("DELETE", "/v1/files/"+f.UID.String(), nil, 0), http.StatusNoContent)
		for _, n := range c.nodes {
			n.API().Require(n.API().Content(f.UID), http.StatusNotFound)
		}
	}
	for _, n := range c.nodes {
		if !strings.Contains(n.Stderr(), "handed_to") {
			t.Error("a node handed nothing on")
		}
	}
	if n := proxy.Load(); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
	c.finish()
}

// meet waits until each node reads what lies at each other.
func (c *cluster) meet() {
	c.t.Helper()
	for i, n := range c.nodes {
		f := n.API().MustFile(n.API().PutFile("here", fmt.Appendf(nil, "here %d", i)), http.StatusCreated)
		for _, other := range c.nodes {
			harness.Eventually(c.t, "the nodes know each other", func() bool { return other.API().Content(f.UID).Status == http.StatusOK })
		}
	}
}

// newProxy has the environment name a proxy for everything, and counts who comes.
func newProxy(t *testing.T) *atomic.Int64 {
	t.Helper()
	var came atomic.Int64
	w := newWire(t, func(context.Context) (net.Conn, error) {
		came.Add(1)
		return nil, errors.New("nobody is to come here")
	})
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "http://"+w.address())
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
	return &came
}

// TestLinksOnDisks: links are made at one node, put at another, and get at each.
func TestLinksOnDisks(t *testing.T) {
	c := start(t, onDisks(3))
	data := harness.Content(1, 30_000)
	body := `{"links": [{"action": "put", "name": "sent"}, {"action": "put", "name": "in parts"}]}`
	links := c.links(0, body)
	put := links[0]
	second := c.nodes[1].API()
	second.Require(second.Do("PUT", "/l/"+put.Token, bytes.NewReader(data), int64(len(data))), http.StatusCreated)
	c.reads(put.UID, data)
	with := []string{"Authorization", protocol.SchemeLink + " " + links[1].Token}
	second.Require(second.JSON("POST", "/v1/uploads", map[string]any{"name": "in parts", "size": len(data)}, with...), http.StatusCreated)
	third, path := c.nodes[2].API(), "/v1/uploads/"+links[1].UID.String()
	third.Require(third.Do("PUT", path+"/parts/1", bytes.NewReader(data), int64(len(data)), with...), http.StatusOK)
	first := c.nodes[0].API()
	first.Require(first.JSON("POST", path+"/commit", nil, with...), http.StatusOK)
	get := c.links(2, fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s"}]}`, put.UID))[0]
	for i, n := range c.nodes {
		if ans := n.API().Do("GET", "/l/"+get.Token, nil, 0); ans.Status != http.StatusOK || !bytes.Equal(ans.Body, data) {
			t.Errorf("node %d by the link: %d, %d bytes, %v", i, ans.Status, len(ans.Body), ans.Err)
		}
		if ans := n.API().Do("GET", "/l/"+get.Token, nil, 0, "Range", "bytes=10-19"); ans.Status != http.StatusPartialContent || !bytes.Equal(ans.Body, data[10:20]) {
			t.Errorf("node %d by the link, a range: %d, %d bytes, %v", i, ans.Status, len(ans.Body), ans.Err)
		}
	}
	c.finish()
}

func (c *cluster) links(node int, body string) []protocol.Link {
	c.t.Helper()
	api := c.nodes[node].API()
	ans := api.Do("POST", "/v1/links", bytes.NewReader([]byte(body)), int64(len(body)), "Content-Type", "application/json")
	api.Require(ans, http.StatusOK)
	var list protocol.LinkList
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		c.t.Fatal(err)
	}
	return list.Links
}

// v0 is where the API of that version is.
const v0 = "/api/storage/v0"

// uploadV0 is a link of v0.
type uploadV0 struct {
	UID protocol.UID `json:"uid"`
	URL struct {
		Single string `json:"single"`
		Multi  struct {
			Upload string `json:"upload"`
			Merge  string `json:"merge"`
		} `json:"multi"`
	} `json:"url"`
}

// dataV0 reads what an answer of v0 has.
func (c *cluster) dataV0(ans harness.Answer, v any) {
	c.t.Helper()
	var e struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(ans.Body, &e); err != nil || ans.Status != http.StatusOK {
		c.t.Fatalf("v0 answered %d %.300s: %v", ans.Status, ans.Body, err)
	}
	if v != nil {
		if err := json.Unmarshal(e.Data, v); err != nil {
			c.t.Fatalf("v0 answered %.300s: %v", ans.Body, err)
		}
	}
}

// formV0 puts data as clients of v0 do.
func (c *cluster) formV0(api *harness.API, path string, data []byte) harness.Answer {
	c.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	p, err := w.CreateFormFile("file", "any.bin")
	if err == nil {
		_, err = p.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return api.Do("PUT", path, &b, int64(b.Len()), "Content-Type", w.FormDataContentType())
}

func md5Of(data []byte) string { return fmt.Sprintf("%x", md5.Sum(data)) }

// TestV0OnDisks: what clients of v0 do, each step at another node.
func TestV0OnDisks(t *testing.T) {
	c := start(t, onDisks(3))
	data := harness.Content(1, 5_000_000)
	var ups []uploadV0
	api := func(i int) *harness.API { return c.nodes[i%3].API() }
	c.dataV0(api(0).JSON("POST", v0+"/link/upload", map[string]any{"filePath": []string{"a.bin", "b.bin"}, "expire": 600}), &ups)
	c.dataV0(c.formV0(api(1), ups[0].URL.Single+"&md5="+md5Of(data), data), nil)
	chunks := [][]byte{data[:2_000_000], data[2_000_000:3_000_000], data[3_000_000:]}
	for i, k := range []int{2, 0, 1} {
		c.dataV0(c.formV0(api(i), fmt.Sprintf("%s&chunkNum=%d&md5=%s", ups[1].URL.Multi.Upload, k+1, md5Of(chunks[k])), chunks[k]), nil)
	}
	for i := range c.nodes {
		var held []int
		if c.dataV0(api(i).Do("GET", v0+"/checkpoint?uid="+ups[1].UID.String(), nil, 0), &held); len(held) != 3 {
			t.Errorf("node %d has the chunks %v", i, held)
		}
	}
	merge := fmt.Sprintf("%s&num=3&size=%d&md5=%s", ups[1].URL.Multi.Merge, len(data), md5Of(data))
	c.dataV0(api(2).Do("PUT", merge, nil, 0), nil)
	for _, u := range ups {
		c.readsV0(u.UID, data)
	}
	c.finish()
}

// readsV0 has each node give a file by a link of v0, and tell where it is.
func (c *cluster) readsV0(uid protocol.UID, data []byte) {
	c.t.Helper()
	for i, n := range c.nodes {
		var down []struct {
			URL string `json:"url"`
		}
		c.dataV0(n.API().JSON("POST", v0+"/link/download", map[string]any{"uid": []string{uid.String()}, "expire": 600}), &down)
		for k, m := range c.nodes {
			if ans := m.API().Do("GET", down[0].URL, nil, 0); ans.Status != http.StatusOK || !bytes.Equal(ans.Body, data) {
				c.t.Errorf("v0 at node %d, by a link of node %d: %d, %d bytes, %v", k, i, ans.Status, len(ans.Body), ans.Err)
			}
			if ans := m.API().Do("GET", down[0].URL, nil, 0, "Range", "bytes=5-14"); ans.Status != http.StatusPartialContent || !bytes.Equal(ans.Body, data[5:15]) {
				c.t.Errorf("v0 at node %d, a range: %d, %d bytes, %v", k, ans.Status, len(ans.Body), ans.Err)
			}
		}
	}
}
