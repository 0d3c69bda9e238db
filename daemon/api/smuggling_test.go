package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

// TestSmuggling sends what two servers could read as different requests. Each
// is refused and the connection closed; no handler runs, and nothing of a
// request hidden in a body is answered.
func TestSmuggling(t *testing.T) {
	const hidden = "DELETE /v1/files/99 HTTP/1.1\r\nHost: HOST\r\n\r\n"
	put := "PUT /v1/uploads/7/parts/1 HTTP/1.1\r\nHost: HOST\r\n"
	chunks := "5\r\nhello\r\n0\r\n\r\n"
	for name, raw := range map[string]string{
		"CL.TE":                      put + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE.CL":                      put + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunks + hidden,
		"TE.TE":                      put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + hidden,
		"TE in capitals":             put + "Transfer-Encoding: CHUNKED\r\n\r\n" + chunks + hidden,
		"TE and a tab":               put + "Transfer-Encoding:\tchunked\t\r\nContent-Length: 3\r\n\r\n" + chunks + hidden,
		"TE and a vertical tab":      put + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks + hidden,
		"TE identity":                put + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"TE chunked, identity":       put + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks + hidden,
		"TE gzip, chunked":           put + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks + hidden,
		"TE xchunked":                put + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"TE empty":                   put + "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"TE on HTTP/1.0":             "PUT /v1/uploads/7/parts/1 HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + hidden,
		"CL twice, the same":         put + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"CL twice, another":          put + "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello" + hidden,
		"CL with a plus":             put + "Content-Length: +5\r\n\r\nhello" + hidden,
		"CL in hex":                  put + "Content-Length: 0x5\r\n\r\nhello" + hidden,
		"CL as a list":               put + "Content-Length: 5, 5\r\n\r\nhello" + hidden,
		"CL negative":                put + "Content-Length: -5\r\n\r\nhello" + hidden,
		"CL empty":                   put + "Content-Length:\r\n\r\nhello" + hidden,
		"CL beyond 64 bits":          put + "Content-Length: 18446744073709551621\r\n\r\nhello" + hidden,
		"CL wrapping to minus one":   put + "Content-Length: 18446744073709551615\r\n\r\nhello" + hidden,
		"CL beyond 63 bits":          put + "Content-Length: 9223372036854775813\r\n\r\nhello" + hidden,
		"a bare LF":                  put + "Content-Length: 5\nX-A: b\r\n\r\nhello" + hidden,
		"a bare LF at the end":       put + "Content-Length: 5\r\n\nhello" + hidden,
		"a folded field":             put + "X-A: b\r\n Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"a folded first field":       "PUT /v1/uploads/7/parts/1 HTTP/1.1\r\n X: y\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"space before the colon":     put + "Content-Length : 5\r\n\r\nhello" + hidden,
		"TE, space before the colon": put + "Transfer-Encoding : chunked\r\n\r\n" + chunks + hidden,
		"NUL in a value":             put + "X-A: b\x00c\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"CR in a value":              put + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"no colon":                   put + "X-A\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"a name that is no token":    put + "X(A): b\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"two Hosts":                  put + "Host: other\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"no Host":                    "PUT /v1/uploads/7/parts/1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"a target with another host": "PUT http://other/v1/uploads/7/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"HTTP/1.2 and TE, CL":        "PUT /v1/uploads/7/parts/1 HTTP/1.2\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + chunks + hidden,
		"Authorization twice":        put + "Authorization: a\r\nAuthorization: b\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"Range twice":                put + "Range: bytes=0-1\r\nRange: bytes=2-3\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"Content-Range twice":        put + "Content-Range: bytes 0-1/2\r\nContent-Range: bytes 1-2/2\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"Idempotency-Key twice":      put + "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"Osp-Xxh3 twice":             put + "Osp-Xxh3: a\r\nosp-xxh3: b\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"Content-Digest twice":       put + "Content-Digest: a=:b:\r\nContent-Digest: a=:c:\r\nContent-Length: 5\r\n\r\nhello" + hidden,
		"If-Match twice":             put + "If-Match: \"a\"\r\nIf-Match: \"b\"\r\nContent-Length: 5\r\n\r\nhello" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			var k counting
			f := start(t, Config{}, map[protocol.RouteName]endpoint{
				protocol.RoutePutPart: {serve: k.serve}, protocol.RouteDeleteFile: {serve: k.serve},
			})
			p := f.dial().send(raw)
			a := p.read(http.MethodPut)
			a.problem(t, protocol.KindBadRequest)
			if !a.Close {
				t.Error("the answer does not say that the connection is closed")
			}
			p.ended()
			if calls := k.seen(); len(calls) > 0 {
				t.Errorf("handlers ran: %q", calls)
			}
		})
	}
}

// TestChunkedBodies: a well-framed chunked body is refused for want of a
// length, whatever its chunks look like, and nothing behind it is answered.
func TestChunkedBodies(t *testing.T) {
	const hidden = "DELETE /v1/files/99 HTTP/1.1\r\nHost: HOST\r\n\r\n"
	for name, body := range map[string]string{
		"plain":                       "5\r\nhello\r\n0\r\n\r\n",
		"a size that overflows":       "10000000000000005\r\nhello\r\n0\r\n\r\n",
		"a size with 0x":              "0x5\r\nhello\r\n0\r\n\r\n",
		"an extension with LF":        "5;a=\nb\r\nhello\r\n0\r\n\r\n",
		"no last CRLF":                "5\r\nhello0\r\n\r\n",
		"a trailer of Content-Length": "5\r\nhello\r\n0\r\nContent-Length: 0\r\n\r\n",
		"a trailer of Host":           "5\r\nhello\r\n0\r\nHost: other\r\n\r\n",
	} {
		for _, route := range []string{"PUT /v1/uploads/7/parts/1", "POST /v1/uploads", "POST /v1/files?name=a", "GET /v1/files"} {
			t.Run(name+" "+route, func(t *testing.T) {
				var k counting
				f := start(t, Config{}, map[protocol.RouteName]endpoint{
					protocol.RoutePutPart: {serve: k.serve}, protocol.RouteDeleteFile: {serve: k.serve}, protocol.RouteListFiles: {serve: k.serve},
					protocol.RoutePutFile: {serve: k.serve}, protocol.RouteBeginUpload: {serve: k.serve},
				})
				p := f.dial().send(route + " HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n" + body + hidden)
				p.read(http.MethodPut).problem(t, protocol.KindLengthRequired)
				p.ended()
				if calls := k.seen(); len(calls) > 0 {
					t.Errorf("handlers ran: %q", calls)
				}
			})
		}
	}
}

// TestUnreadBody: the rest of a body that a handler did not read is never
// taken for a request (stores.md 0.1). Little of it is read and the connection
// goes on; with much the connection ends.
func TestUnreadBody(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		goOn bool
	}{
		"8 KiB": {8 << 10, true}, "256 KiB": {256 << 10, true}, "1 MiB": {1 << 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			var k counting
			refuse := endpoint{serve: func(*call) error { return protocol.Errorf(protocol.KindNotFound, "no") }}
			f := start(t, Config{}, map[protocol.RouteName]endpoint{
				protocol.RoutePutPart: refuse, protocol.RouteDeleteFile: {serve: k.serve}, protocol.RouteGetFile: {serve: k.serve},
			})
			hidden := "DELETE /v1/files/99 HTTP/1.1\r\nHost: " + f.addr + "\r\n\r\n"
			body := strings.Repeat(hidden, c.size/len(hidden))
			p := f.dial()
			go p.send("PUT /v1/uploads/7/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body +
				"GET /v1/files/1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
			p.read(http.MethodPut).problem(t, protocol.KindNotFound)
			var want []string
			if c.goOn {
				if a := p.read(http.MethodGet); a.StatusCode != http.StatusOK {
					t.Errorf("the next request on the connection was answered %s", a.Status)
				}
				want = []string{"/v1/files/1 "}
			}
			p.ended()
			if got := k.seen(); !slices.Equal(got, want) {
				t.Errorf("handlers ran for %q, want %q", got, want)
			}
		})
	}
}
