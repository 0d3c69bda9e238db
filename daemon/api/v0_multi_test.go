package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// v0Chunk sends a chunk to a link, without a token.
func (o *ospd) v0Chunk(l v0UploadLinks, number int, content []byte, sum string) answer {
	o.t.Helper()
	body, contentType := form(o.t, content)
	return o.with("").do(http.MethodPut, fmt.Sprintf("%s&chunkNum=%d&md5=%s", l.URL.Multi.Upload, number, sum), body, "Content-Type", contentType)
}

func (o *ospd) v0Merge(l v0UploadLinks, num, size int, sum string) answer {
	o.t.Helper()
	return o.with("").do(http.MethodPut, fmt.Sprintf("%s&num=%d&size=%d&md5=%s", l.URL.Multi.Merge, num, size, sum), "")
}

// v0Held expects which chunks are held, as JSON.
func (o *ospd) v0Held(l v0UploadLinks, want string) {
	o.t.Helper()
	if got := v0Into[json.RawMessage](o.t, o.do(http.MethodGet, v0Prefix+"/checkpoint?uid="+l.UID, "")); string(got) != want {
		o.t.Errorf("held are %s, want %s", got, want)
	}
}

// TestV0Chunks: of any length, in any order; a wrong merge changes nothing; the
// file reads at once.
func TestV0Chunks(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	for _, lengths := range [][]int{{1}, {5, 7, 1}, {1 << 20, 3<<20 + 1, 100}, {4 << 20, 4 << 20, 9}, {v0Held + 100, v0Held - 300, 10}} {
		l := alice.v0Links("a.bin")[0]
		alice.v0Held(l, "[]")
		var content []byte
		var chunks [][]byte
		for i, n := range lengths {
			chunks = append(chunks, append([]byte{byte(i)}, noise(n-1)...))
			content = append(content, chunks[i]...)
		}
		for i := len(chunks) - 1; i >= 0; i-- {
			o.v0Chunk(l, i+1, chunks[i], md5Of(append(chunks[i], 0))).v0(t, http.StatusUnprocessableEntity)
			o.v0Chunk(l, i+1, chunks[i], md5Of(chunks[i])).v0(t, http.StatusOK)
			o.v0Chunk(l, i+1, chunks[i], md5Of(chunks[i])).v0(t, http.StatusOK)
		}
		all := ""
		for i := range chunks {
			all += fmt.Sprintf(",%d", i+1)
		}
		alice.v0Held(l, "["+all[1:]+"]")
		sum := md5Of(content)
		o.v0Merge(l, len(chunks)+1, len(content), sum).v0(t, http.StatusUnprocessableEntity)
		o.v0Merge(l, len(chunks), len(content)+1, sum).v0(t, http.StatusUnprocessableEntity)
		alice.v0Held(l, "["+all[1:]+"]")
		if a := alice.do(http.MethodGet, "/v1/files/"+l.UID, ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("a wrong merge made a file: %s", a.Status)
		}
		for range 2 {
			_, data := o.v0Merge(l, len(chunks), len(content), sum).v0(t, http.StatusOK)
			if string(data) != `""` {
				t.Errorf("merged: %s", data)
			}
		}
		o.v0Merge(l, len(chunks), len(content), md5Of(nil)).v0(t, http.StatusUnprocessableEntity)
		o.v0Chunk(l, 1, chunks[0], md5Of(chunks[0])).v0(t, http.StatusUnprocessableEntity)
		alice.v0Held(l, "[]")
		d := alice.v0Downloads(3600, l.UID)[0]
		if a := o.do(http.MethodGet, d.URL, ""); a.StatusCode != http.StatusOK || !bytes.Equal(a.body, content) {
			t.Errorf("%v come back as %s, %d bytes", lengths, a.Status, len(a.body))
		}
		last := fmt.Sprintf("bytes=%d-", len(content)-1)
		if a := o.do(http.MethodGet, d.URL, "", "Range", last); a.StatusCode != http.StatusPartialContent || !bytes.Equal(a.body, content[len(content)-1:]) {
			t.Errorf("the last byte comes back as %s, %q", a.Status, a.body)
		}
		if d.Meta.Size != fmt.Sprint(len(content)) {
			t.Errorf("of size %s", d.Meta.Size)
		}
	}
}

// TestV0ChunkParameters: what is no number, or is missing, is 422 and nothing is
// recorded.
func TestV0ChunkParameters(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.v0Links("a.bin")[0]
	body, contentType := form(t, []byte("hello"))
	sum := md5Of([]byte("hello"))
	for _, query := range []string{
		"&chunkNum=0&md5=" + sum, "&chunkNum=-1&md5=" + sum, "&chunkNum=10001&md5=" + sum, "&chunkNum=1.5&md5=" + sum, "&chunkNum=01&md5=" + sum,
		"&chunkNum=+1&md5=" + sum, "&chunkNum=&md5=" + sum, "&md5=" + sum, "&chunkNum=1", "&chunkNum=1&md5=", "&chunkNum=1&md5=zz", "&chunkNum=1&chunkNum=2&md5=" + sum,
	} {
		o.do(http.MethodPut, l.URL.Multi.Upload+query, body, "Content-Type", contentType).v0(t, http.StatusUnprocessableEntity)
	}
	empty, emptyType := form(t, nil)
	o.do(http.MethodPut, l.URL.Multi.Upload+"&chunkNum=1&md5="+md5Of(nil), empty, "Content-Type", emptyType).v0(t, http.StatusUnprocessableEntity)
	o.do(http.MethodPut, l.URL.Multi.Upload+"&chunkNum=1&md5="+sum, "hello").v0(t, http.StatusUnprocessableEntity)
	o.v0Merge(l, 1, 5, sum).v0(t, http.StatusNotFound)
	alice.v0Held(l, "[]")
	// Doubled as old clients double it, and a name that is not known.
	o.do(http.MethodPut, l.URL.Multi.Upload+"&chunkNum=1&md5="+sum+"&chunkNum=1&md5="+sum+"&x=y", body, "Content-Type", contentType).v0(t, http.StatusOK)
	for _, query := range []string{
		"&num=0&size=5&md5=" + sum, "&num=-1&size=5&md5=" + sum, "&num=&size=5&md5=" + sum, "&size=5&md5=" + sum, "&num=1&md5=" + sum, "&num=1&size=5",
		"&num=1&size=-5&md5=" + sum, "&num=1&size=x&md5=" + sum, "&num=1&size=5&md5=" + sum[1:], "&num=1&size=4&md5=" + sum, "&num=2&size=5&md5=" + sum,
		"&num=1&size=5&md5=" + md5Of([]byte("hellO")),
	} {
		o.do(http.MethodPut, l.URL.Multi.Merge+query, "").v0(t, http.StatusUnprocessableEntity)
		alice.v0Held(l, "[1]")
	}
	o.do(http.MethodGet, l.URL.Multi.Upload+"&chunkNum=1&md5="+sum, "").v0(t, http.StatusNotFound)
	for _, query := range []string{"", "?uid=", "?uid=x", "?uid=007", "?uid=%2B5", "?uid=1&uid=2"} {
		alice.do(http.MethodGet, v0Prefix+"/checkpoint"+query, "").v0(t, http.StatusUnprocessableEntity)
	}
	o.as("bob").v0Held(l, "[]")
	o.v0Merge(l, 1, 5, sum).v0(t, http.StatusOK)
}

// TestV0ChunksSeenByV1: the routes of v1 give a right answer on an upload in
// chunks, or a clear error, and change nothing.
func TestV0ChunksSeenByV1(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.v0Links("a.bin")[0]
	o.v0Chunk(l, 2, []byte("hello"), md5Of([]byte("hello"))).v0(t, http.StatusOK)
	path := "/v1/uploads/" + l.UID
	list := into[protocol.UploadList](t, alice.do(http.MethodGet, "/v1/uploads", ""), http.StatusOK)
	if len(list.Uploads) != 1 || list.Uploads[0].UID.String() != l.UID || list.Uploads[0].Size != nil {
		t.Errorf("listed as %+v", list.Uploads)
	}
	if u := into[protocol.Upload](t, alice.do(http.MethodGet, path, ""), http.StatusOK); u.Parts == nil || len(u.Parts) > 0 || u.Size != nil {
		t.Errorf("described as %+v", u)
	}
	alice.do(http.MethodPut, path+"/parts/2", "hello").problem(t, protocol.KindConflict)
	alice.do(http.MethodPost, path+"/commit", `{"size": 5}`).problem(t, protocol.KindConflict)
	alice.do(http.MethodGet, "/v1/files/"+l.UID, "").problem(t, protocol.KindNotFound)
	body, contentType := form(t, []byte("hello"))
	o.do(http.MethodPut, l.URL.Single+"&md5="+md5Of([]byte("hello")), body, "Content-Type", contentType).v0(t, http.StatusUnprocessableEntity)
	alice.v0Held(l, "[2]")
	if v0Into[string](t, alice.do(http.MethodGet, v0Prefix+"/proxy?uid="+l.UID, "")) == "" {
		t.Error("nobody has it")
	}
	if a := alice.do(http.MethodDelete, path, ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("aborted: %s", a.Status)
	}
	o.v0Chunk(l, 2, []byte("hello"), md5Of([]byte("hello"))).v0(t, http.StatusUnprocessableEntity)
	alice.v0Held(l, "[]")
	single := alice.v0Links("b.bin")[0]
	o.v0Put(single.URL.Single, []byte("hello")).v0(t, http.StatusOK)
	o.v0Chunk(single, 1, []byte("hello"), md5Of([]byte("hello"))).v0(t, http.StatusUnprocessableEntity)
	alice.v0Held(single, "[]")
}

// TestV0RefusedFixesNothing: a link gives a file whole or in chunks by what is
// held, not by what was refused.
func TestV0RefusedFixesNothing(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	hello, other := []byte("hello"), []byte("other bytes")
	whole := func(l v0UploadLinks, content []byte, sum string) answer {
		body, contentType := form(t, content)
		return o.do(http.MethodPut, l.URL.Single+"&md5="+sum, body, "Content-Type", contentType)
	}
	read := func(l v0UploadLinks, content []byte) {
		t.Helper()
		if a := o.do(http.MethodGet, alice.v0Downloads(60, l.UID)[0].URL, ""); !bytes.Equal(a.body, content) {
			t.Errorf("it comes back as %s, %q", a.Status, a.body)
		}
	}
	l := alice.v0Links("a.bin")[0]
	o.v0Chunk(l, 1, other, md5Of(hello)).v0(t, http.StatusUnprocessableEntity)
	whole(l, hello, md5Of(hello)).v0(t, http.StatusOK)
	read(l, hello)
	l = alice.v0Links("a.bin")[0]
	whole(l, other, md5Of(hello)).v0(t, http.StatusUnprocessableEntity)
	o.v0Chunk(l, 2, other, md5Of(other)).v0(t, http.StatusOK)
	whole(l, hello, md5Of(hello)).v0(t, http.StatusUnprocessableEntity)
	o.v0Chunk(l, 1, other, md5Of(hello)).v0(t, http.StatusUnprocessableEntity)
	whole(l, hello, md5Of(hello)).v0(t, http.StatusUnprocessableEntity)
	alice.v0Held(l, "[2]")
	o.v0Chunk(l, 1, hello, md5Of(hello)).v0(t, http.StatusOK)
	both := append(bytes.Clone(hello), other...)
	o.v0Merge(l, 2, len(both), md5Of(both)).v0(t, http.StatusOK)
	read(l, both)
}
