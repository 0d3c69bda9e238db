package protocol

import (
	"strconv"
	"strings"
	"testing"
)

func TestCheckIdempotencyKey(t *testing.T) {
	for _, s := range []string{"a", "!~", strings.Repeat("k", 128), "01JD-é"[:5]} {
		if err := CheckIdempotencyKey(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", " ", "a b", "a\t", "a\n", "\x7F", "é", "\xFF", strings.Repeat("k", 129)} {
		if err := CheckIdempotencyKey(s); KindOf(err) != KindBadRequest {
			t.Errorf("%q: %v, want %s", s, err, KindBadRequest)
		}
	}
}

func TestValidRequestID(t *testing.T) {
	for s, want := range map[string]bool{"a": true, "A-z_0.9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\n": false, "é": false, "\xFF": false, "a/b": false, "a:b": false} {
		if got := ValidRequestID(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}

func TestCheckMeta(t *testing.T) {
	many := map[string]string{}
	for i := range MaxMetaKeys {
		many["k"+strconv.Itoa(i)] = "v"
	}
	full := map[string]string{}
	for i := range 8 {
		full["k"+strconv.Itoa(i)] = strings.Repeat("v", MaxMetaValue-2)
	}
	for i, m := range []map[string]string{nil, {}, {"a.B_c-1": ""}, {"k": "é 文 \u202E"}, many, full,
		{strings.Repeat("k", MaxMetaKey): strings.Repeat("v", MaxMetaValue)}} {
		if err := CheckMeta(m); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	many["one"], full["one"] = "more", "more"
	for i, m := range []map[string]string{many, full, {"": "v"}, {"a b": "v"}, {"é": "v"}, {"a/b": "v"}, {"a\x00": "v"},
		{strings.Repeat("k", MaxMetaKey+1): "v"}, {"k": strings.Repeat("v", MaxMetaValue+1)},
		{"k": "a\nb"}, {"k": "\x00"}, {"k": "\x7F"}, {"k": "\u0085"}, {"k": "\u2028"}, {"k": "\xFF"}} {
		if err := CheckMeta(m); KindOf(err) != KindBadRequest {
			t.Errorf("%d: %v, want %s", i, err, KindBadRequest)
		}
	}
}

func TestCheckMediaType(t *testing.T) {
	for _, s := range []string{"text/plain", "text/plain; charset=utf-8", "text/plain;charset=\"utf-8\"", "application/vnd.api+json",
		"TEXT/HTML", "multipart/form-data; boundary=\"a b\"", "a/" + strings.Repeat("b", 253)} {
		if err := CheckMediaType(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "text", "text/", "/plain", "text/plain/x", "text plain", " text/plain", "text/plain ", "text/plain; charset",
		"text/plain; a=1; a=2", "text/plain\r\nX-Evil: 1", "text/plain; a=\"\n\"", "text/plain;\tb=1", "text/pläin", "text/plain; a=\"é\"",
		"text/plain, text/html", "a/" + strings.Repeat("b", 254), "\xFF/\xFF"} {
		if err := CheckMediaType(s); KindOf(err) != KindBadRequest {
			t.Errorf("%q: %v, want %s", s, err, KindBadRequest)
		}
	}
}
