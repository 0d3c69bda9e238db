package cli

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain.iso", "plain.iso"},
		{"größe 大 😀", "größe 大 😀"},
		{`C:\dir`, `C:\dir`},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\x1b[2Jgone", `\x1b[2Jgone`},
		{"\x9b2J", `\x9b2J`},
		{"\u009b2J", `\u009b2J`},
		{"\x7f", `\x7f`},
		{"a\u202egpj.exe", `a\u202egpj.exe`},
		{"a\u2028b", `a\u2028b`},
		{"a\xffb", `a\xffb`},
		{"\uFFFD", "\uFFFD"},
		{"\U000E0041", `\U000e0041`},
		{"👩\u200d💻", "👩\u200d💻"},
	}
	for _, tt := range tests {
		if got := clean(tt.in); got != tt.want {
			t.Errorf("clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestCleanedTextIsOneHarmlessLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "in")
		got := clean(in)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("clean(%q) = %q", in, got)
		}
		if again := clean(got); again != got {
			t.Fatalf("clean(%q) = %q, and again %q", in, got, again)
		}
	})
}

func TestShellWord(t *testing.T) {
	tests := []struct{ in, want string }{
		{"http://127.0.0.1:8888", "http://127.0.0.1:8888"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", `'it'\''s'`},
		{"$(reboot)", "'$(reboot)'"},
		{"a;b", "'a;b'"},
		{"~x", "'~x'"},
		{"größe", "größe"},
		{"a\nb", `'a\nb'`},
	}
	for _, tt := range tests {
		if got := shellWord(tt.in); got != tt.want {
			t.Errorf("shellWord(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}
