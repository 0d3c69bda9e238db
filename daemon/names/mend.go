package names

import (
	"strings"
	"unicode/utf8"

	"github.com/osproxy/osproxy/protocol"
	"golang.org/x/text/unicode/norm"
)

// mended stands for what no name may have, so that one sees that something
// stood there.
const mended = "_"

// Mend gives the name that is nearest to one that no file may have, or the name
// itself. It is for files that are there already, under names that others gave:
// whoever gives one himself is refused. It has one segment, since what was
// refused was not checked for folders; last is how it ends where it is too long
// for anything else, and what it is where nothing is left.
func Mend(name, last string) string {
	if Check(name) == nil {
		return name
	}
	var b strings.Builder
	for _, c := range norm.NFC.String(strings.ToValidUTF8(name, mended)) {
		if c == '/' || protocol.CheckName("a"+string(c)) != nil {
			b.WriteString(mended)
			continue
		}
		b.WriteRune(c)
	}
	switch name = norm.NFC.String(b.String()); {
	case strings.Trim(name, ".") == "":
		return last
	case len(name) <= protocol.MaxSegmentBytes:
		return name
	}
	return norm.NFC.String(strings.ToValidUTF8(cut(name, protocol.MaxSegmentBytes-len(mended)-len(last)), "")) + mended + last
}

// cut gives at most n bytes of whole characters.
func cut(s string, n int) string {
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
