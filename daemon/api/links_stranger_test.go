package api

import (
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// stored is how many bytes lie in the store.
func (o *ospd) stored() (n int64) {
	o.t.Helper()
	err := filepath.WalkDir(o.blobs, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// TestLinkedPutIsRepeated: what broke off, or was begun in parts, is gone on
// with; another file is not, and what is sent again is not written again.
func TestLinkedPutIsRepeated(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	content := strings.Repeat("0123456789", 900_000)
	unsized := alice.link(`{"action": "put", "name": "new"}`)
	into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", `{"name": "new"}`, "Authorization", "Link "+unsized.Token), http.StatusCreated)
	if f := into[protocol.File](t, o.do(http.MethodPut, "/l/"+unsized.Token, content), http.StatusCreated); f.Size != int64(len(content)) {
		t.Errorf("%+v", f)
	}

	l := alice.link(`{"action": "put", "name": "new"}`)
	p := o.dial().send(fmt.Sprintf("PUT /l/%s HTTP/1.1\r\nHost: HOST\r\nContent-Type: text/x-own\r\nContent-Length: %d\r\n\r\n%s", l.Token, len(content), content[:8<<20+100]))
	parts := func() []protocol.Part {
		a := o.do(http.MethodGet, "/v1/uploads/"+l.UID.String(), "", "Authorization", "Link "+l.Token)
		if a.StatusCode == http.StatusNotFound {
			return nil // it is not begun yet
		}
		return into[protocol.Upload](t, a, http.StatusOK).Parts
	}
	for len(parts()) == 0 {
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	before := o.stored()
	o.do(http.MethodPut, "/l/"+l.Token, content+"x", "Content-Type", "text/x-own").problem(t, protocol.KindConflict)
	o.do(http.MethodPut, "/l/"+l.Token, content, "Content-Type", "text/html").problem(t, protocol.KindConflict)
	o.do(http.MethodPut, "/l/"+l.Token, "x"+content[1:], "Content-Type", "text/x-own").problem(t, protocol.KindPartsDiffer)
	o.do(http.MethodPut, "/l/"+l.Token, content, "Osp-Xxh3", protocol.SumXXH3([]byte("x")).String()).problem(t, protocol.KindChecksumMismatch)
	if left := parts(); len(left) != 0 {
		t.Errorf("of bytes that were refused stay %+v", left)
	}
	f := into[protocol.File](t, o.do(http.MethodPut, "/l/"+l.Token, content), http.StatusCreated)
	if a := alice.do(http.MethodGet, contentPath(f.UID), ""); string(a.body) != content || *f.MediaType != "text/x-own" {
		t.Errorf("%+v reads as %d bytes", f, len(a.body))
	}
	if grown := o.stored() - before; grown > 3*int64(len(content)) {
		t.Errorf("%d bytes were written for %d", grown, len(content))
	}
}

// TestLinkedPartsAreNotWrittenForEver: who has a link fills no disk with it.
func TestLinkedPartsAreNotWrittenForEver(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.link(`{"action": "put", "name": "new", "max_size": 1000000}`)
	header := []string{"Authorization", "Link " + l.Token}
	into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", `{"name": "new", "size": 1000000}`, header...), http.StatusCreated)
	limited := false
	for n := range 100 {
		a := o.put(l.UID, 1, []byte(strings.Repeat(string(rune('a'+n%26)), 1_000_000)), header...)
		if a.StatusCode == http.StatusTooManyRequests {
			limited = true
			break
		}
	}
	if !limited {
		t.Error("nobody is held to anything")
	}
	o.do(http.MethodPut, "/l/"+l.Token, strings.Repeat("z", 1_000_000)).problem(t, protocol.KindRateLimited)
	if n := o.stored(); n > 12_000_000 {
		t.Errorf("%d bytes lie in the store", n)
	}
}

// TestLinkTellsNothing: neither how much the owner has, nor what he says of the
// file since, nor by which upload of his own it is found.
func TestLinkTellsNothing(t *testing.T) {
	most := int64(1000)
	o := startOspdWith(t, meta.Quota{Bytes: &most}, nil)
	alice := o.as("alice")
	alice.upload("own", []byte("0123456789"))
	l := alice.link(`{"action": "put", "name": "new"}`)
	for _, a := range []answer{o.do(http.MethodPut, "/l/"+l.Token, strings.Repeat("a", 2000)), o.do(http.MethodPost, "/v1/uploads", `{"name": "new", "size": 2000}`, "Authorization", "Link "+l.Token)} {
		a.problem(t, protocol.KindQuotaExceeded)
		if text := string(a.body); strings.Contains(text, "alice") || strings.Contains(text, "1000") || strings.Contains(text, "10 ") {
			t.Errorf("told %s", text)
		}
	}
	content := "hello"
	begin := fmt.Sprintf(`{"name": "new", "size": 5, "fingerprint": %q, "resume": true}`, fingerprintOf(content))
	u := into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", begin, "Authorization", "Link "+l.Token), http.StatusCreated)
	if mine := alice.begin(begin); mine.UID == u.UID {
		t.Error("the owner's put goes on in a link's upload")
	}
	f := into[protocol.File](t, o.do(http.MethodPut, "/l/"+l.Token, content), http.StatusCreated)
	patch := `{"name": "private/case-77", "meta": {"verdict": "reject"}, "expires_at": "2999-01-01T00:00:00Z"}`
	into[protocol.File](t, alice.do(http.MethodPatch, "/v1/files/"+f.UID.String(), patch), http.StatusOK)
	for _, a := range []answer{
		o.do(http.MethodGet, "/v1/uploads/"+f.UID.String(), "", "Authorization", "Link "+l.Token),
		o.do(http.MethodPost, "/v1/uploads/"+f.UID.String()+"/commit", "", "Authorization", "Link "+l.Token),
	} {
		if text := string(a.body); a.StatusCode != http.StatusOK || strings.Contains(text, "case-77") || strings.Contains(text, "verdict") || strings.Contains(text, "2999") {
			t.Errorf("told %s %s", a.Status, text)
		}
	}
}

// TestRevocationEndsWhatRuns: a request that is under way is not the end of it.
func TestRevocationEndsWhatRuns(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.link(`{"action": "put", "name": "new"}`)
	p := o.dial().send("PUT /l/" + l.Token + " HTTP/1.1\r\nHost: HOST\r\nContent-Length: 6\r\n\r\nabc")
	for o.do(http.MethodGet, "/v1/uploads/"+l.UID.String(), "", "Authorization", "Link "+l.Token).StatusCode != http.StatusOK {
	}
	if a := alice.do(http.MethodDelete, "/v1/links?uid="+l.UID.String(), ""); a.StatusCode != http.StatusNoContent {
		t.Fatal(a.Status)
	}
	p.send("def").read(http.MethodPut).problem(t, protocol.KindForbidden)
	alice.do(http.MethodGet, "/v1/files/"+l.UID.String(), "").problem(t, protocol.KindNotFound)
}

// TestLinkRefusesBeforeTheBody: what the header shows is answered before the
// client sends more.
func TestLinkRefusesBeforeTheBody(t *testing.T) {
	o := startOspd(t)
	l := o.as("alice").link(`{"action": "put", "name": "new", "max_size": 3, "media_type": "image/png"}`)
	for _, c := range []struct {
		header string
		kind   protocol.Kind
	}{
		{"Content-Length: 600000", protocol.KindTooLarge},
		{"Content-Length: 3\r\nContent-Type: text/html", protocol.KindForbidden},
		{"Content-Length: 3\r\nTransfer-Encoding: chunked", protocol.KindBadRequest},
		{"Content-Length: 3\r\nContent-Encoding: something", protocol.KindUnsupportedMediaType},
	} {
		o.dial().send("PUT /l/"+l.Token+" HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\n"+c.header+"\r\n\r\n").
			read(http.MethodPut).problem(t, c.kind)
	}
	p := o.dial().send("PUT /l/" + l.Token + " HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if a := p.read(http.MethodPut); a.StatusCode != http.StatusContinue {
		t.Fatalf("answered %s %s", a.Status, a.body)
	}
	into[protocol.File](t, p.send("abc").read(http.MethodPut), http.StatusCreated)
}

// TestLinksOfAnOpenDaemon: a link is followed from any page; and what everybody
// could sign ends with the first token.
func TestLinksOfAnOpenDaemon(t *testing.T) {
	o := startOspd(t)
	f := o.upload("a", []byte("abc"))
	l := o.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, f.UID))
	if a := o.do(http.MethodGet, "/l/"+l.Token, "", "Sec-Fetch-Site", "cross-site"); string(a.body) != "abc" {
		t.Errorf("from another page: %s %s", a.Status, a.body)
	}
	o.do(http.MethodGet, contentPath(f.UID), "", "Sec-Fetch-Site", "cross-site").problem(t, protocol.KindBadOrigin)
	o.dial().send("GET /l/"+l.Token+" HTTP/1.1\r\nHost: files.example.com\r\n\r\n").read(http.MethodGet).problem(t, protocol.KindBadHost)
	o.as("alice")
	o.do(http.MethodGet, "/l/"+l.Token, "").problem(t, protocol.KindForbidden)
	o.do(http.MethodPost, "/v1/links", `{"links": [{"action": "put", "name": "a"}]}`).problem(t, protocol.KindUnauthenticated)
}
