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
	for name, raw := range ambiguous("PUT /v1/uploads/7/parts/1 ", "", "hello", hidden) {
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
