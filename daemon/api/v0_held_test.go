package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// stalled opens connections that begin a form and go no further, and returns once
// all of them are served.
func (o *ospd) stalled(n int, link, length string) (open []*wire) {
	o.t.Helper()
	begun := formOpen + "he"
	if strings.HasSuffix(length, "chunked") {
		begun = fmt.Sprintf("%x\r\n%s\r\n", len(begun), begun)
	}
	for range n {
		open = append(open, o.dial().send("PUT "+link+"&md5="+md5Of([]byte("hello"))+" HTTP/1.1\r\nHost: HOST\r\n"+
			"Content-Type: multipart/form-data; boundary=bound\r\n"+length+"\r\n\r\n"+begun))
	}
	serving := func() int {
		o.active.mu.Lock()
		defer o.active.mu.Unlock()
		return o.active.n
	}
	for end := time.Now().Add(patience); serving() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("%d of %d requests are served", serving(), n)
		}
	}
	return open
}

// holding returns once so many forms are held.
func (o *ospd) holding(n int) {
	o.t.Helper()
	for end := time.Now().Add(patience); cap(o.forms.free)-len(o.forms.free) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("%d forms are held, want %d", cap(o.forms.free)-len(o.forms.free), n)
		}
	}
}

// TestV0StalledForms: who has one link and sends no bodies by it holds up nobody
// else, and of the same link only what cannot be read as it comes.
func TestV0StalledForms(t *testing.T) {
	o := startOspdAs(t, meta.Quota{}, func(cfg *Config) { cfg.Limits.FormWait = 10 * time.Millisecond })
	alice, bob := o.as("alice"), o.as("bob")
	links := alice.v0Links("a.bin", "b.bin")
	o.stalled(70, links[0].URL.Single, "Content-Length: 100000")
	into[protocol.File](t, bob.oneShot("name=b.txt", []byte("hello")), http.StatusCreated)
	o.v0Put(links[1].URL.Single, []byte("hello")).v0(t, http.StatusOK)
	o.holding(v0HeldOfOne)

	again := links[0].URL.Single + "&md5=" + md5Of([]byte("hello"))
	behind := formOpen + "hello\r\n" + strings.TrimSuffix(formField, "\r\n") + formClose
	later := o.do(http.MethodPut, again, behind, "Content-Type", "multipart/form-data; boundary=bound")
	if later.v0(t, http.StatusInternalServerError); later.Header.Get("Retry-After") == "" {
		t.Error("a form that has to be held is refused for good")
	}
	later = o.dial().send(fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=bound\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		again, len(behind), behind)).read(http.MethodPut)
	if later.v0(t, http.StatusInternalServerError); later.Header.Get("Retry-After") == "" {
		t.Error("a form without a length is refused for good")
	}
	o.v0Put(links[0].URL.Single, []byte("hello")).v0(t, http.StatusOK)
}

// TestV0FormTime: a form that is held has a time to be there, however steadily it
// comes; then its memory is another's.
func TestV0FormTime(t *testing.T) {
	for name, length := range map[string]string{"with a length": "Content-Length: 100000", "without": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			o := startOspdAs(t, meta.Quota{}, func(cfg *Config) { cfg.Limits.Forms, cfg.Limits.FormTime = 1, 50*time.Millisecond })
			l := o.as("alice").v0Links("a.bin")[0]
			p := o.stalled(1, l.URL.Single, length)[0]
			p.read(http.MethodPut).v0(t, http.StatusInternalServerError)
			o.v0Put(l.URL.Single, []byte("hello")).v0(t, http.StatusOK)
		})
	}
}

// TestOneShotsOfOneOwner: one owner's small files that do not come leave memory
// for others', and one that waits for it is told to come again.
func TestOneShotsOfOneOwner(t *testing.T) {
	o := startOspdAs(t, meta.Quota{}, func(cfg *Config) { cfg.Limits.OneShots, cfg.Limits.OneShotWait = 4, 10*time.Millisecond })
	alice, bob := o.as("alice"), o.as("bob")
	for range 3 {
		alice.dial().send("POST /v1/files?name=a HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer " + alice.token + "\r\nContent-Length: 5\r\n\r\nhe")
	}
	for end := time.Now().Add(patience); len(o.oneShots.free) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is held")
		}
	}
	a := alice.oneShot("name=a.txt", []byte("hello"))
	if a.problem(t, protocol.KindUnavailable); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	into[protocol.File](t, bob.oneShot("name=b.txt", []byte("hello")), http.StatusCreated)
}

// TestSlots: what is given back is there again, and nothing is kept of callers who
// have nothing.
func TestSlots(t *testing.T) {
	s := newSlots(3, 2)
	take := func(who string) func() {
		t.Helper()
		buf, release, err := s.take(t.Context(), who, 5, 0)
		if err != nil || len(buf) != 5 {
			t.Fatal(len(buf), err)
		}
		return release
	}
	refused := func(who string) {
		t.Helper()
		if _, _, err := s.take(t.Context(), who, 5, 0); protocol.KindOf(err) != protocol.KindUnavailable {
			t.Fatal(err)
		}
	}
	one, two := take("a"), take("a")
	refused("a")
	three := take("b")
	refused("b")
	refused("c")
	one()
	four := take("b")
	two()
	three()
	four()
	if len(s.free) != 3 || len(s.callers) != 0 {
		t.Errorf("%d are free, %d callers", len(s.free), len(s.callers))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	held := []func(){take("a"), take("a")}
	if _, _, err := s.take(ctx, "a", 5, time.Hour); err == nil || protocol.KindOf(err) == protocol.KindUnavailable {
		t.Error(err)
	}
	for _, release := range held {
		release()
	}
}
