package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// Whatever of the content an answer has, its Repr-Digest is that of the whole;
// answers that are not about the content, and contents whose SHA-256 is not
// known, have none.
func TestReprDigest(t *testing.T) {
	const path = "/v1/files/1/content"
	for _, size := range []int{0, 10, smallBody, smallBody + 1, 1 << 20} {
		content := noise(size)
		raw := sha256.Sum256(content)
		known := hex.EncodeToString(raw[:])
		want := "sha-256=:" + base64.StdEncoding.EncodeToString(raw[:]) + ":"
		for _, sum := range []*string{&known, nil} {
			serve := endpoint{serve: func(c *call) error {
				return c.serveContent(representation{
					size: int64(size), etag: `"tag"`, modified: instant(), mediaType: "text/x-test", disposition: "attachment", sha256: sum,
					writeRange: func(_ context.Context, w io.Writer, off, n int64) error {
						_, err := w.Write(content[off : off+n])
						return err
					},
				})
			}}
			f := start(t, Config{}, map[protocol.RouteName]endpoint{protocol.RouteGetContent: serve, protocol.RouteHeadContent: serve})
			for _, c := range []struct {
				method string
				header []string
				status int
				has    bool
				min    int
			}{
				{http.MethodGet, nil, 200, true, 0},
				{http.MethodHead, nil, 200, true, 0},
				{http.MethodHead, []string{"Range", "bytes=0-1"}, 200, true, 0},
				{http.MethodGet, []string{"Range", "bytes=1-2"}, 206, true, 3},
				{http.MethodGet, []string{"Range", "bytes=1-"}, 206, true, 3},
				{http.MethodGet, []string{"Range", "bytes=0-0,2-2"}, 206, true, 3},
				{http.MethodGet, []string{"Range", "bytes=1-2", "If-Range", `"x"`}, 200, true, 0},
				{http.MethodGet, []string{"If-None-Match", `"tag"`}, 304, false, 0},
				{http.MethodGet, []string{"If-Match", `"x"`}, 412, false, 0},
				{http.MethodGet, []string{"Range", "bytes=1048577-"}, 416, false, 3},
			} {
				if size < c.min {
					continue
				}
				a := f.do(c.method, path, "", c.header...)
				got := a.Header.Values("Repr-Digest")
				ok := len(got) == 0
				if c.has && sum != nil {
					ok = len(got) == 1 && got[0] == want
				}
				if a.StatusCode != c.status || !ok {
					t.Errorf("%s of %d bytes, %q: %d and Repr-Digest %q, want %d and %q (%v)", c.method, size, c.header, a.StatusCode, got, c.status, want, c.has)
				}
			}
		}
	}
}
