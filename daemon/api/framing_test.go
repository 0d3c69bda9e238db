package api

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// FuzzFraming: a header that this server accepts means to net/http, if that
// accepts it too, the same method, target, host and body, and ends at the same
// byte. Two servers that differ in one of these can be played against each
// other.
func FuzzFraming(f *testing.F) {
	for _, fields := range []string{
		"Host: a\r\n", "Host: a\r\nContent-Length: 5\r\n", "Host: a\r\nTransfer-Encoding: chunked\r\n", "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n",
		"Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n", "Host: a\r\nX: b\r\n c\r\n", "Host: a\nContent-Length: 5\r\n", "Host : a\r\n", "Host: a\r\nContent-Length: 18446744073709551621\r\n",
		"Host: a\r\nContent-Length: 007\r\n", "Host: a\r\nContent-Length: 5 \r\n", "host: a\r\ncontent-length:\t5\r\n", "Host: a\r\nX:\r\n", "Host: a\r\n: b\r\n", "Host: a\r\nX\x00: b\r\n", "Host: a\r\nX: \x7f\r\n",
		"Host: a\r\nContent_Length: 5\r\n", "Host: a\r\nContent-Length: 5\r\nConnection: Content-Length\r\n", "Host: a\r\nTrailer: Content-Length\r\n", "Host: a b\r\n", "Host: \r\n", "Host: a\rX: b\r\n",
	} {
		for _, line := range []string{"PUT /a HTTP/1.1\r\n", "GET http://a/b HTTP/1.1\r\n", "GET /a HTTP/1.0\r\n", "GET /a HTTP/1.1\n", "GET  /a HTTP/1.1\r\n", "\r\nGET /a HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n"} {
			f.Add([]byte(line + fields + "\r\nhello"))
		}
	}
	f.Fuzz(sameAsNetHTTP)
}

func sameAsNetHTTP(t *testing.T, raw []byte) {
	src := bytes.NewReader(raw)
	ours := bufio.NewReaderSize(src, headerBuffer)
	var h fasthttp.RequestHeader
	if h.Read(ours) != nil {
		return
	}
	framing, err := readFraming(&h)
	if err != nil {
		return
	}
	left := ours.Buffered() + src.Len()
	otherSrc := bytes.NewReader(raw)
	other := bufio.NewReaderSize(otherSrc, headerBuffer)
	req, err := http.ReadRequest(other)
	if err != nil {
		return
	}
	length := int64(0)
	switch {
	case framing.chunked:
		length = -1
	case framing.sized:
		length = int64(h.ContentLength())
	}
	if string(h.Method()) != req.Method || string(h.RequestURI()) != req.RequestURI || length != req.ContentLength || left != other.Buffered()+otherSrc.Len() {
		t.Errorf("%q: %s %s, body %d, %d bytes after the header; net/http: %s %s, %d, %d", raw,
			h.Method(), h.RequestURI(), length, left, req.Method, req.RequestURI, req.ContentLength, other.Buffered()+otherSrc.Len())
	}
	if !strings.Contains(req.RequestURI, "://") && string(h.Host()) != req.Host {
		t.Errorf("%q: host %q, net/http: %q", raw, h.Host(), req.Host)
	}
}
