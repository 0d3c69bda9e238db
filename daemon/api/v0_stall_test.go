package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// TestV0StalledBodies: a body that stops coming says nothing of the request's
// parameters. It is for now only, and the same request again is taken.
func TestV0StalledBodies(t *testing.T) {
	o := startOspdAs(t, meta.Quota{}, func(cfg *Config) { cfg.Limits.Stall = 50 * time.Millisecond })
	alice := o.as("alice")
	hello, open := []byte("hello"), formOpen+"he"
	inChunks := "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(open), open)
	form := "Content-Type: multipart/form-data; boundary=bound\r\n"
	bearer := "Authorization: Bearer " + alice.token + "\r\n"
	for name, c := range map[string]struct{ route, header, body string }{
		"a file":                 {"single", form, "Content-Length: 100\r\n\r\n" + open},
		"a file without length":  {"single", form, inChunks},
		"a large file":           {"single", form, "Content-Length: 9000000\r\n\r\n" + open + strings.Repeat("a", 5<<20)},
		"before a large file":    {"single", form, "Content-Length: 9000000\r\n\r\n" + formOpen[:20]},
		"a chunk":                {"multi", form, "Content-Length: 100\r\n\r\n" + open},
		"a chunk without length": {"multi", form, inChunks},
		"a large chunk":          {"multi", form, "Content-Length: 9000000\r\n\r\n" + open + strings.Repeat("a", 5<<20)},
		"links to upload":        {"/link/upload", bearer, "Content-Length: 100\r\n\r\n{"},
		"links to download":      {"/link/download", bearer, "Content-Length: 100\r\n\r\n{"},
		"resume":                 {"/resume", bearer, "Content-Length: 100\r\n\r\n{"},
	} {
		t.Run(name, func(t *testing.T) {
			l, method := alice.v0Links("a.bin")[0], http.MethodPut
			target := map[string]string{
				"single": l.URL.Single + "&md5=" + md5Of(hello), "multi": l.URL.Multi.Upload + "&chunkNum=1&md5=" + md5Of(hello),
			}[c.route]
			if target == "" {
				target, method = v0Prefix+c.route, http.MethodPost
			}
			p := o.dial().send(method + " " + target + " HTTP/1.1\r\nHost: HOST\r\n" + c.header + c.body)
			a := p.read(method)
			message, _ := a.v0(t, http.StatusInternalServerError)
			if a.Header.Get("Retry-After") == "" || !strings.Contains(message, "stopped coming") || !strings.Contains(message, "nothing was recorded") {
				t.Errorf("%v, says %q", a.Header, message)
			}
			alice.v0Held(l, "[]")
			if c.route == "multi" {
				o.v0Chunk(l, 1, hello, md5Of(hello)).v0(t, http.StatusOK)
			} else {
				o.v0Put(l.URL.Single, hello).v0(t, http.StatusOK)
			}
		})
	}
}

// TestV0NoBody: what stops before its body is read by nobody, and answered as in
// v1: not with a status that says the parameters are wrong.
func TestV0NoBody(t *testing.T) {
	f := start(t, Config{Limits: Limits{Stall: 50 * time.Millisecond}}, nil)
	a := f.dial().send("PUT " + v0Prefix + "/upload?uid=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100\r\n\r\n").read(http.MethodPut)
	a.problem(t, protocol.KindUnavailable)
	if a.StatusCode != http.StatusRequestTimeout || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", a.Status, a.Header)
	}
}
