package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/protocol"
)

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path string
		kind         protocol.Kind
		allow        string
	}{
		{"GET", "/", protocol.KindNotFound, ""},
		{"GET", "/v1", protocol.KindNotFound, ""},
		{"GET", "/v1/files/", protocol.KindNotFound, ""},
		{"GET", "/v1/files/1/", protocol.KindNotFound, ""},
		{"GET", "/v1/Files/1", protocol.KindNotFound, ""},
		{"GET", "/v1/uploads/1/parts/1/x", protocol.KindNotFound, ""},
		{"PUT", "/v1/files/1", protocol.KindMethodNotAllowed, "DELETE, GET, HEAD, PATCH"},
		{"OPTIONS", "/v1/files", protocol.KindMethodNotAllowed, "GET, HEAD, POST"},
		{"POST", "/healthz", protocol.KindMethodNotAllowed, "GET, HEAD"},
		{"DELETE", "/v1/uploads/1/commit", protocol.KindMethodNotAllowed, "POST"},
		{"PUT", "/v1/files/1/content", protocol.KindMethodNotAllowed, "GET, HEAD"},
		{"GET", "//v1/files", protocol.KindBadRequest, ""},
		{"GET", "/v1//files", protocol.KindBadRequest, ""},
		{"GET", "/v1/./files", protocol.KindBadRequest, ""},
		{"GET", "/v1/x/../files", protocol.KindBadRequest, ""},
		{"GET", "/v1/files%2f1", protocol.KindBadRequest, ""},
		{"GET", "/v1/files/1%00", protocol.KindBadRequest, ""},
		{"GET", "/v1/f%69les", protocol.KindBadRequest, ""},
		{"GET", `/v1\files`, protocol.KindBadRequest, ""},
		{"GET", "*", protocol.KindBadRequest, ""},
		{"GET", "/v1/files/01", protocol.KindBadUID, ""},
		{"GET", "/v1/files/0", protocol.KindBadUID, ""},
		{"GET", "/v1/files/-1", protocol.KindBadUID, ""},
		{"GET", "/v1/files/x", protocol.KindBadUID, ""},
		{"GET", "/v1/files/9223372036854775808", protocol.KindNotFound, ""},
		{"GET", "/v1/files/12345678901234567890", protocol.KindBadUID, ""},
		{"GET", "/v1/files?limt=3", protocol.KindUnknownField, ""},
		{"GET", "/v1/files?meta.a=3", protocol.KindUnknownField, ""},
		{"GET", "/v1/files?limit=3&limit=4", protocol.KindBadRequest, ""},
		{"GET", "/v1/files?limit=%zz", protocol.KindBadRequest, ""},
		{"GET", "/v1/files?limit=-3", protocol.KindBadRequest, ""},
		{"GET", "/v1/files?digest=abc", protocol.KindBadRequest, ""},
		{"GET", "/v1/uploads?limit=x", protocol.KindBadRequest, ""},
		{"GET", "/v1/files/1?x=y", protocol.KindUnknownField, ""},
		{"GET", "/v1/files/1/content?disposition=both", protocol.KindBadRequest, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			f := start(t, Config{}, nil)
			a := f.dial().send(c.method + " " + c.path + " HTTP/1.1\r\nHost: HOST\r\n\r\n").read(c.method)
			a.problem(t, c.kind)
			if got := a.Header.Get("Allow"); got != c.allow {
				t.Errorf("Allow is %q, want %q", got, c.allow)
			}
		})
	}
}

// TestBodies are the bodies a route refuses from the header alone.
func TestBodies(t *testing.T) {
	for name, c := range map[string]struct {
		head string
		kind protocol.Kind
	}{
		"GET with a body":         {"GET /v1/files HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello", protocol.KindBadRequest},
		"part without length":     {"PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\n\r\n", protocol.KindLengthRequired},
		"file without length":     {"POST /v1/files?name=a HTTP/1.1\r\nHost: HOST\r\n\r\n", protocol.KindLengthRequired},
		"part encoded":            {"PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", protocol.KindUnsupportedMediaType},
		"JSON too long":           {"POST /v1/uploads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1048577\r\n\r\nhello", protocol.KindTooLarge},
		"JSON of another type":    {"POST /v1/uploads HTTP/1.1\r\nHost: HOST\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", protocol.KindUnsupportedMediaType},
		"no JSON":                 {"POST /v1/uploads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\n{]", protocol.KindBadRequest},
		"empty JSON":              {"POST /v1/uploads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n", protocol.KindBadRequest},
		"unknown field":           {"POST /v1/uploads HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\n{\"nam\":1}", protocol.KindUnknownField},
		"file too large":          {"POST /v1/files?name=a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1048577\r\n\r\nhello", protocol.KindTooLarge},
		"bad XXH3":                {"PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nOsp-Xxh3: ABC\r\nContent-Length: 5\r\n\r\nhello", protocol.KindBadRequest},
		"bad Content-Digest":      {"PUT /v1/uploads/1/parts/1 HTTP/1.1\r\nHost: HOST\r\nContent-Digest: sha-256=:AAAA:\r\nContent-Length: 5\r\n\r\nhello", protocol.KindBadRequest},
		"bad part number":         {"PUT /v1/uploads/1/parts/01 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello", protocol.KindBadPart},
		"bad Idempotency-Key":     {"POST /v1/uploads HTTP/1.1\r\nHost: HOST\r\nIdempotency-Key: a b\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}", protocol.KindBadRequest},
		"bad expires_at":          {"POST /v1/files?name=a&expires_at=soon HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n", protocol.KindBadRequest},
		"header too large":        {"GET /v1/files HTTP/1.1\r\nHost: HOST\r\nX-A: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", protocol.KindHeadersTooLarge},
		"request line too large":  {"GET /v1/files?name=" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: HOST\r\n\r\n", protocol.KindHeadersTooLarge},
		"no HTTP":                 {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", protocol.KindBadRequest},
		"another version of HTTP": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", protocol.KindBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{}, nil)
			f.dial().send(c.head).read(http.MethodGet).problem(t, c.kind)
		})
	}
}
