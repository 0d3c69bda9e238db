package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// TestLinkToGet: the bytes, with what was signed, and the same conditions and
// ranges as ever; nothing that the request says changes it.
func TestLinkToGet(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f := alice.upload("reports/märz.pdf", []byte("0123456789"))
	l := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, f.UID))
	if !strings.HasSuffix(l.URL, "/l/"+l.Token) || !strings.HasPrefix(l.URL, "http://") || l.UID != f.UID || l.Action != "get" {
		t.Errorf("%+v", l)
	}
	if in := time.Until(l.ExpiresAt.Time); in > 15*time.Minute || in < 14*time.Minute {
		t.Errorf("it ends in %s", in)
	}
	a := o.do(http.MethodGet, "/l/"+l.Token, "")
	if a.StatusCode != http.StatusOK || string(a.body) != "0123456789" {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	for name, want := range map[string]string{
		"Content-Disposition":     `attachment; filename="m_rz.pdf"; filename*=UTF-8''m%C3%A4rz.pdf`,
		"Cache-Control":           "private, no-store",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "sandbox; default-src 'none'",
		"ETag":                    f.ETag,
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if a := o.do(http.MethodGet, "/l/"+l.Token, "", "Range", "bytes=2-3"); a.StatusCode != http.StatusPartialContent || string(a.body) != "23" {
		t.Errorf("a range: %s %q", a.Status, a.body)
	}
	if a := o.do(http.MethodHead, "/l/"+l.Token, ""); a.StatusCode != http.StatusOK || a.ContentLength != 10 {
		t.Errorf("HEAD: %s, %d bytes", a.Status, a.ContentLength)
	}
	if a := o.do(http.MethodGet, "/l/"+l.Token, "", "If-None-Match", f.ETag); a.StatusCode != http.StatusNotModified {
		t.Errorf("304: %s", a.Status)
	}
	shown := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s", "name": "x.txt", "disposition": "inline", "media_type": "text/plain"}`, f.UID))
	a = o.do(http.MethodGet, "/l/"+shown.Token, "")
	if a.Header.Get("Content-Disposition") != `inline; filename="x.txt"` || a.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("shown with %v", a.Header)
	}
	script := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s", "disposition": "inline", "media_type": "text/html"}`, f.UID))
	if a := o.do(http.MethodGet, "/l/"+script.Token, ""); !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a page is shown: %v", a.Header)
	}
	if a := alice.do(http.MethodDelete, "/v1/files/"+f.UID.String(), ""); a.StatusCode != http.StatusNoContent {
		t.Fatal(a.Status)
	}
	o.do(http.MethodGet, "/l/"+l.Token, "").problem(t, protocol.KindNotFound)
}

// TestLinksDoOneThing: every other use of a link is refused, and changes nothing.
func TestLinksDoOneThing(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f, other := alice.upload("a", []byte("abc")), alice.upload("b", []byte("def"))
	get := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, f.UID))
	put := alice.link(`{"action": "put", "name": "new"}`)
	begun := alice.begin(`{"name": "c", "size": 3}`)
	state := alice.stateOf(f.UID) + alice.stateOf(begun.UID)
	link := func(token string) []string { return []string{"Authorization", "Link " + token} }
	for _, c := range []struct {
		what, method, path, body string
		header                   []string
		kind                     protocol.Kind
	}{
		{"a query", "GET", "/l/" + get.Token + "?disposition=inline", "", nil, protocol.KindUnknownField},
		{"a get to put", "PUT", "/l/" + get.Token, "abc", nil, protocol.KindForbidden},
		{"a put to get", "GET", "/l/" + put.Token, "", nil, protocol.KindForbidden},
		{"another method", "POST", "/l/" + get.Token, "abc", nil, protocol.KindMethodNotAllowed},
		{"another method", "DELETE", "/l/" + get.Token, "", nil, protocol.KindMethodNotAllowed},
		{"a longer path", "GET", "/l/" + get.Token + "/", "", nil, protocol.KindNotFound},
		{"a doubled slash", "GET", "/l//" + get.Token, "", nil, protocol.KindBadRequest},
		{"dots", "GET", "/v1/../l/" + get.Token, "", nil, protocol.KindBadRequest},
		{"an escape", "GET", "/%6c/" + get.Token, "", nil, protocol.KindBadRequest},
		{"another case", "GET", "/L/" + get.Token, "", nil, protocol.KindNotFound},
		{"no token", "GET", "/l/", "", nil, protocol.KindNotFound},
		{"a token in the query", "GET", "/l/x?token=" + get.Token, "", nil, protocol.KindForbidden},
		{"a link as a token", "GET", contentPath(f.UID), "", []string{"Authorization", "Bearer " + get.Token}, protocol.KindUnauthenticated},
		{"a get on content", "GET", contentPath(f.UID), "", link(get.Token), protocol.KindUnauthenticated},
		{"a put on content", "GET", contentPath(f.UID), "", link(put.Token), protocol.KindUnauthenticated},
		{"a get to begin", "POST", "/v1/uploads", `{"name": "new"}`, link(get.Token), protocol.KindForbidden},
		{"no link to begin", "POST", "/v1/uploads", `{"name": "new"}`, link("x"), protocol.KindForbidden},
		{"another's upload", "GET", "/v1/uploads/" + begun.UID.String(), "", link(put.Token), protocol.KindForbidden},
		{"another's part", "PUT", "/v1/uploads/" + begun.UID.String() + "/parts/1", "xyz", link(put.Token), protocol.KindForbidden},
		{"another's commit", "POST", "/v1/uploads/" + begun.UID.String() + "/commit", "", link(put.Token), protocol.KindForbidden},
		{"another's file", "GET", "/v1/uploads/" + other.UID.String(), "", link(put.Token), protocol.KindForbidden},
		{"uploads", "GET", "/v1/uploads", "", link(put.Token), protocol.KindUnauthenticated},
		{"files", "GET", "/v1/files", "", link(put.Token), protocol.KindUnauthenticated},
		{"a claim", "POST", "/v1/uploads/" + put.UID.String() + "/claim", `{"digest": "` + f.Digest.String() + `"}`, link(put.Token), protocol.KindUnauthenticated},
		{"links", "POST", "/v1/links", `{"links": []}`, link(put.Token), protocol.KindUnauthenticated},
		{"another name", "POST", "/v1/uploads", `{"name": "old"}`, link(put.Token), protocol.KindForbidden},
		{"labels", "POST", "/v1/uploads", `{"name": "new", "meta": {"a": "b"}}`, link(put.Token), protocol.KindForbidden},
		{"an end", "POST", "/v1/uploads", `{"name": "new", "expires_at": "2999-01-01T00:00:00Z"}`, link(put.Token), protocol.KindForbidden},
	} {
		a := o.do(c.method, c.path, c.body, c.header...)
		if a.problem(t, c.kind); t.Failed() {
			t.Fatalf("%s: %s %s", c.what, a.Status, a.body)
		}
	}
	if after := alice.stateOf(f.UID) + alice.stateOf(begun.UID); after != state {
		t.Errorf("what was refused changed\n%s\nto\n%s", state, after)
	}
	if strings.Contains(o.log.String(), get.Token) || strings.Contains(o.log.String(), put.Token) {
		t.Error("the log has a link")
	}
}

// TestLinkToPut: one file, by one request, whoever sends it.
func TestLinkToPut(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	known := alice.upload("known", []byte(strings.Repeat("known bytes ", 1000)))
	for what, c := range map[string]struct {
		size   int
		header []string
	}{"empty": {0, nil}, "small": {3, []string{"Content-Type", "text/x-own"}}, "in parts": {9 << 20, []string{"Content-Type", "text/x-own"}}} {
		l := alice.link(`{"action": "put", "name": "in/new"}`)
		body := strings.Repeat("b", c.size)
		o.do(http.MethodPut, "/l/"+l.Token, body, append([]string{"Osp-Xxh3", protocol.SumXXH3([]byte(body + "x")).String()}, c.header...)...).problem(t, protocol.KindChecksumMismatch)
		f := into[protocol.File](t, o.do(http.MethodPut, "/l/"+l.Token, body, append([]string{"Osp-Xxh3", protocol.SumXXH3([]byte(body)).String()}, c.header...)...), http.StatusCreated)
		if f.UID != l.UID || f.Owner != "alice" || f.Name != "in/new" || f.Size != int64(c.size) || (f.MediaType == nil) != (c.header == nil) {
			t.Errorf("%s: %+v", what, f)
		}
		if a := alice.do(http.MethodGet, contentPath(f.UID), ""); string(a.body) != body {
			t.Errorf("%s: reads as %d bytes", what, len(a.body))
		}
		o.do(http.MethodPut, "/l/"+l.Token, body).problem(t, protocol.KindCommitted)
		if a := alice.do(http.MethodDelete, "/v1/files/"+f.UID.String(), ""); a.StatusCode != http.StatusNoContent {
			t.Fatal(a.Status)
		}
		o.do(http.MethodPut, "/l/"+l.Token, body).problem(t, protocol.KindConflict)
	}
	bound := alice.link(`{"action": "put", "name": "a", "media_type": "image/png", "max_size": 3}`)
	o.do(http.MethodPut, "/l/"+bound.Token, "abcd").problem(t, protocol.KindTooLarge)
	o.do(http.MethodPut, "/l/"+bound.Token, "abc", "Content-Type", "text/html").problem(t, protocol.KindForbidden)
	if f := into[protocol.File](t, o.do(http.MethodPut, "/l/"+bound.Token, "abc"), http.StatusCreated); *f.MediaType != "image/png" {
		t.Errorf("%+v", f)
	}
	// What the owner has already is not told.
	l := alice.link(`{"action": "put", "name": "again"}`)
	begin := fmt.Sprintf(`{"name": "again", "size": %d, "fingerprint": %q}`, known.Size, fingerprintOf(strings.Repeat("known bytes ", 1000)))
	if u := into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", begin, "Authorization", "Link "+l.Token), http.StatusCreated); u.Maybe {
		t.Error("who has a link learns what its owner has")
	}
}

// TestLinkToPutInParts: the routes of uploads, without a token, on one uid.
func TestLinkToPutInParts(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.link(`{"action": "put", "name": "new", "max_size": 9437184}`)
	header := []string{"Authorization", "link " + l.Token}
	content := []byte(strings.Repeat("0123456789", 900_000))
	o.do(http.MethodPost, "/v1/uploads", `{"name": "new"}`, header...).problem(t, protocol.KindSizeRequired)
	o.do(http.MethodPost, "/v1/uploads", `{"name": "new", "size": 9437185}`, header...).problem(t, protocol.KindTooLarge)
	begin := fmt.Sprintf(`{"name": "new", "size": %d}`, len(content))
	u := into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", begin, header...), http.StatusCreated)
	if u.UID != l.UID || u.PartSize != 8<<20 {
		t.Fatalf("%+v", u)
	}
	into[protocol.Part](t, o.put(u.UID, 2, content[8<<20:], header...), http.StatusOK)
	// A script that is run again finds what it sent.
	again := into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", begin, header...), http.StatusOK)
	if again.UID != l.UID || len(again.Parts) != 1 || again.Parts[0].Number != 2 {
		t.Errorf("%+v", again)
	}
	into[protocol.Part](t, o.put(u.UID, 1, content[:8<<20], header...), http.StatusOK)
	f := into[protocol.File](t, o.do(http.MethodPost, "/v1/uploads/"+u.UID.String()+"/commit", "", header...), http.StatusOK)
	if f.Digest == nil || *f.Digest != digestOf(string(content)) {
		t.Errorf("%+v", f)
	}
	o.do(http.MethodPost, "/v1/uploads", begin, header...).problem(t, protocol.KindCommitted)
	o.put(u.UID, 1, content[:8<<20], header...).problem(t, protocol.KindCommitted)
}

// TestLinksAreSignedOnce: by key (WIRE 10); and as far as the token reaches.
func TestLinksAreSignedOnce(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f := alice.upload("a", []byte("abc"))
	body := fmt.Sprintf(`{"links": [{"action": "get", "uid": "%s"}, {"action": "put", "name": "b"}]}`, f.UID)
	first := alice.do(http.MethodPost, "/v1/links", body, "Idempotency-Key", "k")
	if got := into[protocol.LinkList](t, first, http.StatusOK).Links; len(got) != 2 || got[0].UID != f.UID || got[1].UID == 0 {
		t.Errorf("%+v", got)
	}
	if again := alice.do(http.MethodPost, "/v1/links", body, "Idempotency-Key", "k"); string(again.body) != string(first.body) {
		t.Errorf("%s\nthen %s", first.body, again.body)
	}
	alice.do(http.MethodPost, "/v1/links", `{"links": []}`, "Idempotency-Key", "k").problem(t, protocol.KindIdempotencyMismatch)
	alice.do(http.MethodPost, "/v1/links", `{"links": []}`).problem(t, protocol.KindBadRequest)
	alice.do(http.MethodPost, "/v1/links", `{"links": [{"action": "get", "uid": "`+f.UID.String()+`", "ip": "::1"}]}`).problem(t, protocol.KindUnknownField)
	o.as("alice", protocol.ScopeLinkCreate, protocol.ScopeFileWrite).do(http.MethodPost, "/v1/links", body).problem(t, protocol.KindForbidden)
	o.as("alice", protocol.ScopeLinkCreate, protocol.ScopeFileRead).do(http.MethodPost, "/v1/links", body).problem(t, protocol.KindForbidden)
	o.as("bob").do(http.MethodPost, "/v1/links", body).problem(t, protocol.KindNotFound)
}

// TestLinksAreRevoked: of one file, or of all, and only when it is said which.
func TestLinksAreRevoked(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	f, g := alice.upload("a", []byte("abc")), alice.upload("b", []byte("def"))
	of := func(uid protocol.UID) string {
		return "/l/" + alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s"}`, uid)).Token
	}
	first, second := of(f.UID), of(g.UID)
	for _, query := range []string{"", "?all=false", "?all=1", "?uid=" + f.UID.String() + "&all=true"} {
		alice.do(http.MethodDelete, "/v1/links"+query, "").problem(t, protocol.KindBadRequest)
	}
	alice.do(http.MethodDelete, "/v1/links?uid=0", "").problem(t, protocol.KindBadUID)
	gone := func(who *ospd, query string) {
		t.Helper()
		if a := who.do(http.MethodDelete, "/v1/links"+query, ""); a.StatusCode != http.StatusNoContent {
			t.Errorf("%s: %s", query, a.Status)
		}
	}
	gone(o.as("bob"), "?all=true")
	gone(o.as("bob"), "?uid="+f.UID.String())
	into[protocol.Link](t, answer{Response: o.do(http.MethodHead, first, "").Response, body: []byte("{}")}, http.StatusOK)
	gone(alice, "?uid="+f.UID.String())
	o.do(http.MethodGet, first, "").problem(t, protocol.KindForbidden)
	if a := o.do(http.MethodGet, second, ""); a.StatusCode != http.StatusOK {
		t.Errorf("another file's link: %s", a.Status)
	}
	third := of(f.UID)
	gone(alice, "?all=true")
	for _, path := range []string{second, third} {
		o.do(http.MethodGet, path, "").problem(t, protocol.KindForbidden)
	}
	if a := o.do(http.MethodGet, of(f.UID), ""); a.StatusCode != http.StatusOK {
		t.Errorf("a link made since: %s", a.Status)
	}
}
