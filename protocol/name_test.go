package protocol

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckName(t *testing.T) {
	long := strings.Repeat("a", MaxSegmentBytes)
	good := []string{
		"a", "a.txt", ".hidden", "...", "a/b/c", "a b", " a ", "~", "-rf", "a:b*c?\"<>|", "résumé.pdf", "文件/照片.jpg", "👩‍👩‍👧.png",
		"\uFFFD", "a\u00A0b", long, long + "/" + long + "/" + long + "/" + long[:253] + "/aa",
		"\u061B", "\u200D", "\u2027", "\u202F", "\u2065", "\u206A", "\u00A0", "~\u00A1",
	}
	for _, name := range good {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	bad := map[string]string{
		"":                         "it is empty",
		strings.Repeat("a/", 1024): "it has 2048 bytes, at most 1024 are possible",
		"/":                        "segment 1 is empty",
		"/a":                       "segment 1 is empty",
		"a/":                       "segment 2 is empty",
		"a//b":                     "segment 2 is empty",
		".":                        `segment 1 is "."`,
		"..":                       `segment 1 is ".."`,
		"a/../b":                   `segment 2 is ".."`,
		"a/b/.":                    `segment 3 is "."`,
		long + "a":                 "segment 1 has 256 bytes, at most 255 are possible",
		"a/" + long + "é":          "segment 2 has 257 bytes",
		`a\b`:                      "at byte 2 is a backslash",
		"a\x00":                    "at byte 2 is a control character (U+0000)",
		"a\nb":                     "at byte 2 is a control character (U+000A)",
		"\x1F":                     "(U+001F)",
		"\x7F":                     "(U+007F)",
		"é\u0080":                  "at byte 3 is a control character (U+0080)",
		"\u009F":                   "(U+009F)",
		"\u2028":                   "a control character (U+2028)",
		"\u2029":                   "a control character (U+2029)",
		"a\xFF":                    "at byte 2 is invalid UTF-8",
		"\xC0\x80":                 "invalid UTF-8",
		"\xED\xA0\x80":             "invalid UTF-8",
		"a\uFFFD\xC3":              "at byte 5 is invalid UTF-8",
	}
	for _, c := range []rune{0x061C, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069} {
		bad["gpj."+string(c)] = "at byte 5 is a character that changes the direction of text"
	}
	for name, want := range bad {
		e, ok := errors.AsType[*Error](CheckName(name))
		if !ok || e.Kind != KindBadName || !strings.Contains(e.Message, want) {
			t.Errorf("%q: %+v, want %s: %s", name, e, KindBadName, want)
		}
	}
}

func TestLastSegment(t *testing.T) {
	for name, want := range map[string]string{"a": "a", "a/b": "b", "a/b/c.txt": "c.txt", "": ""} {
		if got := LastSegment(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "../a", "a\\b", "a\u202Eb", "\xFF", "\uFFFD", "a//b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckName(name)
		if err != nil && KindOf(err) != KindBadName {
			t.Fatalf("%q: %v", name, err)
		}
		last := LastSegment(name)
		if err == nil && (last == "" || last == "." || last == ".." || len(last) > MaxSegmentBytes ||
			strings.ContainsAny(last, "/\\\x00\n") || !utf8.ValidString(name)) {
			t.Errorf("%q is allowed, and its last segment is %q", name, last)
		}
	})
}
