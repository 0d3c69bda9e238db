package api

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/daemon/api/docs"
	"github.com/osproxy/osproxy/protocol"
)

// TestDocsPage: each of its files is served to everybody, as it is and in gzip,
// under the strictest policy that it works with.
func TestDocsPage(t *testing.T) {
	o := startOspd(t)
	o.newToken("ann")
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	paths := map[string]bool{}
	for _, a := range docs.Assets() {
		paths[a.Path] = true
		got := o.do(http.MethodGet, a.Path, "", "Accept-Encoding", "identity")
		if got.StatusCode != http.StatusOK || !bytes.Equal(got.body, a.Plain()) || got.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %s, %d bytes, %v", a.Path, got.Status, len(got.body), got.Header)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "Content-Type": a.MediaType, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s has %s: %q, want %q", a.Path, name, got.Header.Get(name), want)
			}
		}
		if head := o.do(http.MethodHead, a.Path, "", "Accept-Encoding", "identity"); len(head.body) > 0 || head.ContentLength != int64(len(a.Plain())) {
			t.Errorf("%s: HEAD has %d bytes and says %d", a.Path, len(head.body), head.ContentLength)
		}
		small := o.do(http.MethodGet, a.Path, "", "Accept-Encoding", "br, gzip;q=0.5")
		if a.Packed != nil && (small.Header.Get("Content-Encoding") != "gzip" || small.Header.Get("Vary") != "Accept-Encoding" ||
			small.Header.Get("Etag") == got.Header.Get("Etag") || !bytes.Equal(unzipped(t, small.body), a.Plain())) {
			t.Errorf("%s in gzip: %d bytes, %v", a.Path, len(small.body), small.Header)
		}
		for _, etag := range []string{got.Header.Get("Etag"), "W/" + got.Header.Get("Etag") + `, "x"`} {
			same := o.do(http.MethodGet, a.Path, "", "Accept-Encoding", "identity", "If-None-Match", etag)
			if same.StatusCode != http.StatusNotModified || len(same.body) > 0 || same.Header.Get("Etag") != got.Header.Get("Etag") {
				t.Errorf("%s: the same is %s with %d bytes", a.Path, same.Status, len(same.body))
			}
		}
		o.do(http.MethodPost, a.Path, "").problem(t, protocol.KindMethodNotAllowed)
	}
	for from, want := range map[string]string{"/docs/": "../docs", "/swagger": "swagger/index.html", "/swagger/": "index.html"} {
		if a := o.do(http.MethodGet, from, ""); a.StatusCode != http.StatusFound || a.Header.Get("Location") != want {
			t.Errorf("%s leads to %q with %s", from, a.Header.Get("Location"), a.Status)
		}
	}
	for _, path := range []string{"/docs/README.md", "/docs/index.html", "/docs/x", "/swagger/x", "/swagger/doc.json"} {
		o.do(http.MethodGet, path, "").problem(t, protocol.KindNotFound)
	}
	if !paths["/docs"] || !paths["/swagger/index.html"] {
		t.Errorf("there are %v", paths)
	}
}

func unzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTakesGzip(t *testing.T) {
	for field, want := range map[string]bool{
		"": false, "gzip": true, "GZip": true, "gzip, deflate, br": true, "br,gzip": true, "gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=0.1": true,
		"gzip; Q=1": true, "*": false, "identity": false, "x-gzip": false, "gzipped": false, "gzip;q=x": false, "gzip;level=9": false, "br;q=1, gzip;q=0": false,
		strings.Repeat(",", 5000): false,
	} {
		if takesGzip(field) != want {
			t.Errorf("%.40q: %v", field, !want)
		}
	}
}
