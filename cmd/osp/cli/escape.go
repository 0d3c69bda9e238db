package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text from elsewhere (paths, stored names, a daemon's messages)
// safe to print as part of one line: control characters, characters that
// change the direction of text, line separators and invalid UTF-8 become
// escapes as Go writes them, so that no name moves the cursor, forges a line
// or looks like another. A script that needs the exact text reads --json.
func clean(s string) string {
	if strings.IndexFunc(s, unsafeRune) < 0 {
		return s
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == utf8.RuneError && s[i] != 0xEF: // U+FFFD itself begins with EF
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case c == utf8.RuneError || !unsafeRune(c):
			b.WriteRune(c)
		case c < 0x80:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c <= 0xFFFF:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	return b.String()
}

// unsafeRune reports what clean escapes. The two joiners are kept: scripts and
// emoji are written with them, and they move nothing. U+FFFD is looked at
// again there, since it also stands for a byte that is no UTF-8.
func unsafeRune(c rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = 0x200C, 0x200D
	if c == zeroWidthNonJoiner || c == zeroWidthJoiner {
		return false
	}
	return c == utf8.RuneError || unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// shellWord quotes s for a POSIX shell where that is needed, so that a printed
// command can be pasted. What cannot be printed stays escaped (clean).
func shellWord(s string) string {
	plain := func(c rune) bool {
		return c > 0x7F && !unsafeRune(c) || unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("%+,-./:=@_", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(clean(s), "'", `'\''`) + "'"
}
