package api

import (
	"net/http"
	"testing"
)

// TestV0LinksAreRevoked: of one file, whose chunks are kept for its owner; the
// links of others are as good as before.
func TestV0LinksAreRevoked(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	hello, sum := []byte("hello"), md5Of([]byte("hello"))
	links := alice.v0Links("fresh.bin", "begun.bin", "other.bin", "chunks.bin")
	fresh, begun, other, chunks := links[0], links[1], links[2], links[3]
	o.v0Chunk(begun, 1, hello, sum).v0(t, http.StatusOK)
	o.v0Chunk(chunks, 1, hello, sum).v0(t, http.StatusOK)
	get := alice.v0Downloads(60, alice.upload("a.txt", hello).UID.String())[0]
	kept := alice.v0Downloads(60, alice.upload("b.txt", hello).UID.String())[0]
	for _, uid := range []string{fresh.UID, begun.UID, get.UID} {
		if a := o.as("bob").do(http.MethodDelete, "/v1/links?uid="+uid, ""); a.StatusCode != http.StatusNoContent {
			t.Fatalf("of another owner's: %s %s", a.Status, a.body)
		}
	}
	o.v0Chunk(begun, 2, hello, sum).v0(t, http.StatusOK)
	for _, uid := range []string{fresh.UID, begun.UID, get.UID} {
		if a := alice.do(http.MethodDelete, "/v1/links?uid="+uid, ""); a.StatusCode != http.StatusNoContent {
			t.Fatalf("%s %s", a.Status, a.body)
		}
	}
	for what, a := range map[string]answer{
		"a file":         o.v0Put(fresh.URL.Single, hello),
		"a chunk":        o.v0Chunk(fresh, 1, hello, sum),
		"the next chunk": o.v0Chunk(begun, 3, hello, sum),
		"a chunk again":  o.v0Chunk(begun, 1, []byte("hellO"), md5Of([]byte("hellO"))),
		"a merge":        o.v0Merge(begun, 2, 10, md5Of([]byte("hellohello"))),
		"a download":     o.do(http.MethodGet, get.URL, ""),
		"a part of it":   o.do(http.MethodGet, get.URL, "", "Range", "bytes=1-2"),
	} {
		if a.v0(t, http.StatusUnauthorized); t.Failed() {
			t.Fatal(what)
		}
	}
	alice.v0Held(begun, "[1,2]")
	alice.v0Held(fresh, "[]")
	for _, uid := range []string{fresh.UID, begun.UID} {
		if a := alice.do(http.MethodGet, "/v1/files/"+uid, ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	o.v0Put(other.URL.Single, hello).v0(t, http.StatusOK)
	o.v0Merge(chunks, 1, 5, sum).v0(t, http.StatusOK)
	if a := o.do(http.MethodGet, kept.URL, ""); string(a.body) != "hello" {
		t.Errorf("another file's: %s", a.Status)
	}
}
