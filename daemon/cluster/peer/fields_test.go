package peer

import (
	"net/http"
	"strings"
	"testing"
)

// TestNothingIsSentThatIsReadInTwoWays: the smuggling that values could do.
func TestNothingIsSentThatIsReadInTwoWays(t *testing.T) {
	plain := Message{Method: http.MethodGet, Path: "/v1/files"}
	field := func(name, value string) Message {
		m := plain
		m.Fields = []Field{{name, value}}
		return m
	}
	target := func(method, path, query string) Message { return Message{Method: method, Path: path, Query: query} }
	for name, m := range map[string]Message{
		"CR": field("Range", "a\rb"), "LF": field("Range", "a\nb"), "CRLF": field("Range", "a\r\nX: b"), "NUL": field("Range", "a\x00b"),
		"DEL": field("Range", "a\x7f"), "space before": field("Range", " a"), "space after": field("Range", "a "), "tab": field("Range", "a\tb"),
		"not a field of peers": field("Authorization", "Bearer x"), "length": field("Content-Length", "1"), "proof": field(HeaderNode, "x"),
		"name": field("Range\r\nX", "x"), "twice": {Method: "GET", Path: "/", Fields: []Field{{"Range", "a"}, {"range", "a"}}},
		"long":          field("Range", strings.Repeat("x", maxField+1)),
		"long together": {Method: "GET", Path: "/", Fields: []Field{{"Range", strings.Repeat("x", maxField)}, {"If-Range", strings.Repeat("x", maxField)}}},
		"method":        target("GET /x", "/", ""), "no method": target("", "/", ""), "lower method": target("get", "/", ""),
		"no path": target("GET", "", ""), "host": target("GET", "//host/x", ""), "space": target("GET", "/a b", ""), "query in path": target("GET", "/a?b", ""),
		"fragment": target("GET", "/a#b", ""), "line": target("GET", "/a\r\nX: b", ""), "line in query": target("GET", "/a", "b\nc"),
		"space in query": target("GET", "/a", "b c"), "long path": target("GET", "/"+strings.Repeat("x", maxTarget), ""),
	} {
		if fields, err := (Signer{Self: here}).Sign(there, m); err == nil {
			t.Errorf("%s is sent: %v", name, fields)
		}
	}
	for name, m := range map[string]Message{
		"plain": plain, "query": target("GET", "/a", "b=%20c?d"), "bytes": target("GET", "/\xff%2F", "\xc3\xa4"), "empty": field("Range", ""), "utf-8": field(HeaderOwner, "ä b"),
	} {
		if _, err := (Signer{Self: here}).Sign(there, m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
