package api

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// later is a clock that runs and can be set forward.
type later struct{ by atomic.Int64 }

func (l *later) now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

func (l *later) pass(d time.Duration) { l.by.Add(int64(d)) }

// timed has links begin and end by a clock that can be set.
func (o *ospd) timed() *later {
	o.t.Helper()
	clock := new(later)
	minter, err := meta.NewMinter(o.db, 0, time.Now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.cfg.Links = link.New(link.Config{Records: o.db, Minter: minter, Clock: clock.now})
	return clock
}

// TestLinksEnd: by every route that takes one, a link that was good is refused
// once it has ended, and what came by it is as it was.
func TestLinksEnd(t *testing.T) {
	o := startOspd(t)
	clock, alice := o.timed(), o.as("alice")
	f := alice.upload("a.txt", []byte("hello"))
	sum := md5Of([]byte("hello"))
	get := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s", "expires_in": 3600}`, f.UID))
	put := alice.link(`{"action": "put", "name": "new", "expires_in": 3600}`)
	parts := alice.link(`{"action": "put", "name": "parts", "expires_in": 3600}`)
	whole, chunks := alice.v0Links("b.bin")[0], alice.v0Links("c.bin")[0]
	down := alice.v0Downloads(3600, f.UID.String())[0].URL
	auth := []string{"Authorization", "Link " + parts.Token}
	u := into[protocol.Upload](t, o.do(http.MethodPost, "/v1/uploads", `{"name": "parts", "size": 5}`, auth...), http.StatusCreated)
	into[protocol.Part](t, o.put(u.UID, 1, []byte("hello"), auth...), http.StatusOK)
	o.v0Chunk(chunks, 1, []byte("hello"), sum).v0(t, http.StatusOK)
	for _, path := range []string{"/l/" + get.Token, down} {
		if a := o.do(http.MethodGet, path, ""); a.StatusCode != http.StatusOK {
			t.Fatalf("before its end: %s %s", a.Status, a.body)
		}
	}
	state := alice.stateOf(u.UID)

	clock.pass(time.Hour)
	for what, a := range map[string]answer{
		"get":    o.do(http.MethodGet, "/l/"+get.Token, ""),
		"put":    o.do(http.MethodPut, "/l/"+put.Token, "hello"),
		"begin":  o.do(http.MethodPost, "/v1/uploads", `{"name": "parts", "size": 5}`, auth...),
		"look":   o.do(http.MethodGet, "/v1/uploads/"+u.UID.String(), "", auth...),
		"part":   o.put(u.UID, 1, []byte("hellO"), auth...),
		"commit": o.do(http.MethodPost, "/v1/uploads/"+u.UID.String()+"/commit", "", auth...),
	} {
		if a.problem(t, protocol.KindForbidden); t.Failed() {
			t.Fatalf("%s after its end", what)
		}
	}
	for what, a := range map[string]answer{
		"download": o.do(http.MethodGet, down, ""),
		"upload":   o.v0Put(whole.URL.Single, []byte("hello")),
		"chunk":    o.v0Chunk(chunks, 2, []byte("hello"), sum),
		"merge":    o.v0Merge(chunks, 1, 5, sum),
	} {
		if a.v0(t, http.StatusUnauthorized); t.Failed() {
			t.Fatalf("%s after its end", what)
		}
	}
	if after := alice.stateOf(u.UID); after != state {
		t.Errorf("what was refused changed\n%s\nto\n%s", state, after)
	}
	alice.v0Held(chunks, "[1]")
	alice.v0Held(whole, "[]")
	for _, uid := range []string{put.UID.String(), whole.UID, chunks.UID} {
		alice.do(http.MethodGet, "/v1/files/"+uid, "").problem(t, protocol.KindNotFound)
	}
}

// TestLinksBegin: one that has not begun is refused, to get and to put, and good
// from then on.
func TestLinksBegin(t *testing.T) {
	o := startOspd(t)
	clock, alice := o.timed(), o.as("alice")
	f := alice.upload("a.txt", []byte("hello"))
	times := fmt.Sprintf(`"not_before": "%s", "expires_in": 7200`, protocol.TimeOf(clock.now().Add(time.Hour)))
	get := alice.link(fmt.Sprintf(`{"action": "get", "uid": "%s", %s}`, f.UID, times))
	put := alice.link(`{"action": "put", "name": "new", ` + times + `}`)
	auth := []string{"Authorization", "Link " + put.Token}
	o.do(http.MethodGet, "/l/"+get.Token, "").problem(t, protocol.KindForbidden)
	o.do(http.MethodPut, "/l/"+put.Token, "hello").problem(t, protocol.KindForbidden)
	o.do(http.MethodPost, "/v1/uploads", `{"name": "new", "size": 5}`, auth...).problem(t, protocol.KindForbidden)
	alice.do(http.MethodGet, "/v1/uploads/"+put.UID.String(), "").problem(t, protocol.KindNotFound)
	clock.pass(time.Hour + time.Second)
	if a := o.do(http.MethodGet, "/l/"+get.Token, ""); string(a.body) != "hello" {
		t.Errorf("%s %s", a.Status, a.body)
	}
	into[protocol.File](t, o.do(http.MethodPut, "/l/"+put.Token, "hello"), http.StatusCreated)
}

// TestEveryByteOfALinkCounts: a link to put with one byte changed puts nothing, by
// either way that it is sent.
func TestEveryByteOfALinkCounts(t *testing.T) {
	o := startOspd(t)
	alice := o.as("alice")
	l := alice.link(`{"action": "put", "name": "new"}`)
	for i := range l.Token {
		bad := l.Token[:i] + flipped(l.Token[i]) + l.Token[i+1:]
		o.do(http.MethodPut, "/l/"+bad, "hello").problem(t, protocol.KindForbidden)
		o.do(http.MethodPost, "/v1/uploads", `{"name": "new", "size": 5}`, "Authorization", "Link "+bad).problem(t, protocol.KindForbidden)
		if t.Failed() {
			t.Fatalf("byte %d is flipped", i)
		}
	}
	if list := into[protocol.FileList](t, alice.do(http.MethodGet, "/v1/files", ""), http.StatusOK); len(list.Files) > 0 {
		t.Errorf("put were %+v", list.Files)
	}
	alice.do(http.MethodGet, "/v1/uploads/"+l.UID.String(), "").problem(t, protocol.KindNotFound)
	into[protocol.File](t, o.do(http.MethodPut, "/l/"+l.Token, "hello"), http.StatusCreated)
}
