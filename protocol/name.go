package protocol

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckName refuses a name a file cannot have: KindBadName, with the rule and
// where it is broken (WIRE 8). Nothing is repaired: a name is kept as it came
// or not at all. The rule that a name is in Unicode normal form C is not
// checked here, since its tables are outside the standard library; the daemon
// checks it where names come in.
func CheckName(name string) error {
	switch {
	case name == "":
		return badName("it is empty")
	case len(name) > MaxNameBytes:
		return badName("it has %d bytes, at most %d are possible", len(name), MaxNameBytes)
	}
	for i, c := range name {
		if why := refusedRune(c, name[i:]); why != "" {
			return badName("at byte %d is %s", i+1, why)
		}
	}
	n := 0
	for seg := range strings.SplitSeq(name, "/") {
		n++
		switch {
		case seg == "":
			return badName("segment %d is empty (a name neither begins nor ends with a slash, and has no two together)", n)
		case seg == "." || seg == "..":
			return badName("segment %d is %q", n, seg)
		case len(seg) > MaxSegmentBytes:
			return badName("segment %d has %d bytes, at most %d are possible", n, len(seg), MaxSegmentBytes)
		}
	}
	return nil
}

// LastSegment is what follows the last slash of a name: what the file is
// called where there are no folders.
func LastSegment(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func badName(format string, args ...any) error {
	return &Error{Kind: KindBadName, Message: "this name is not allowed: " + fmt.Sprintf(format, args...),
		Hint: "Nothing was stored, and no name is changed silently: choose another one."}
}

// refusedRune says what makes c, which begins rest, impossible in a name, or
// "". What is refused either ends a line or changes the direction of text, and
// so lets a name look like another on a terminal or in a header.
func refusedRune(c rune, rest string) string {
	switch {
	case c == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD"):
		return "invalid UTF-8"
	case c == '\\':
		return "a backslash"
	case isControl(c):
		return fmt.Sprintf("a control character (%U)", c)
	case c == 0x061C, c == 0x200E, c == 0x200F, c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069:
		return fmt.Sprintf("a character that changes the direction of text (%U)", c)
	}
	return ""
}
