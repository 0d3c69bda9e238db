package protocol

import (
	"mime"
	"strings"
	"unicode/utf8"
)

// Limits of what a request may carry besides content.
const (
	// MaxIdempotencyKey bounds an Idempotency-Key, in bytes.
	MaxIdempotencyKey = 128
	// MaxRequestID bounds a caller's X-Request-Id, in bytes.
	MaxRequestID = 64
	// MaxMediaType bounds a media type with its parameters, in bytes.
	MaxMediaType = 255
	// MaxMetaKeys bounds the entries of meta.
	MaxMetaKeys = 64
	// MaxMetaKey and MaxMetaValue bound a key and a value of meta, in bytes.
	MaxMetaKey   = 128
	MaxMetaValue = 2048
	// MaxMetaBytes bounds all keys and values of meta together.
	MaxMetaBytes = 16 << 10
)

// CheckIdempotencyKey accepts 1 to 128 visible ASCII characters (WIRE 10);
// anything else is KindBadRequest.
func CheckIdempotencyKey(s string) error {
	if len(s) < 1 || len(s) > MaxIdempotencyKey || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return Errorf(KindBadRequest, "an Idempotency-Key has 1 to %d visible ASCII characters, this one is %.40q", MaxIdempotencyKey, s)
	}
	return nil
}

// ValidRequestID reports whether a caller's X-Request-Id is taken over: 1 to
// 64 of [A-Za-z0-9._-] (WIRE 1).
func ValidRequestID(s string) bool {
	return len(s) >= 1 && len(s) <= MaxRequestID && !strings.ContainsFunc(s, notWord)
}

// notWord reports whether c is not one of [A-Za-z0-9._-].
func notWord(c rune) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		return false
	}
	return true
}

// CheckMeta refuses a file's metadata (WIRE 4, 8) beyond the limits above:
// KindBadRequest. A key is made of [A-Za-z0-9._-], since it may stand in a
// query as meta.KEY; a value is UTF-8 without control characters.
func CheckMeta(m map[string]string) error {
	if len(m) > MaxMetaKeys {
		return Errorf(KindBadRequest, "meta has %d entries, at most %d are allowed", len(m), MaxMetaKeys)
	}
	total := 0
	for k, v := range m {
		total += len(k) + len(v)
		switch {
		case k == "" || len(k) > MaxMetaKey || strings.ContainsFunc(k, notWord):
			return Errorf(KindBadRequest, "a key of meta has 1 to %d of A-Z a-z 0-9 . _ -, this one is %.40q", MaxMetaKey, k)
		case len(v) > MaxMetaValue:
			return Errorf(KindBadRequest, "meta %q has %d bytes, at most %d are allowed", k, len(v), MaxMetaValue)
		case !utf8.ValidString(v) || strings.ContainsFunc(v, isControl):
			return Errorf(KindBadRequest, "meta %q is not UTF-8 without control characters", k)
		}
	}
	if total > MaxMetaBytes {
		return Errorf(KindBadRequest, "meta has %d bytes in all, at most %d are allowed", total, MaxMetaBytes)
	}
	return nil
}

// isControl reports whether c is of C0 or C1, DEL, or a separator that ends a
// line.
func isControl(c rune) bool {
	return c < 0x20 || c >= 0x7F && c <= 0x9F || c == 0x2028 || c == 0x2029
}

// CheckMediaType accepts type/subtype with parameters (RFC 9110 section
// 8.3.1) in at most 255 printable ASCII characters, since it is sent back as a
// Content-Type; anything else is KindBadRequest.
func CheckMediaType(s string) error {
	bad := Errorf(KindBadRequest, "%.80q is not a media type", s)
	bad.Hint = "Use type/subtype, for example text/plain; charset=utf-8."
	if len(s) > MaxMediaType || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
		return bad
	}
	if t, _, err := mime.ParseMediaType(s); err != nil || !strings.Contains(t, "/") {
		return bad
	}
	return nil
}
