package selection

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// anyDepth is the segment that stands for any number of folders.
const anyDepth = "**"

// pattern is one pattern of .gitignore (gitignore(5)), cut at its slashes.
type pattern struct {
	// segments are matched with the elements of a path one by one, so that no
	// star, question mark or class ever matches a slash.
	segments []string
	// anywhere: the pattern has no slash but at its end, and is matched with
	// the last element alone.
	anywhere bool
	// folders: the pattern ends in a slash and matches folders alone.
	folders bool
}

// syntax says how a pattern is written.
type syntax int

const (
	// withBraces: {a,b} are alternatives, as in a shell.
	withBraces syntax = iota
	// plainBraces: they are characters like any other, as in .gitignore.
	plainBraces
)

// parsePattern reads a pattern without sign or comment.
func parsePattern(text string, s syntax) (p pattern, err error) {
	glob, err := translate(text, s)
	if err != nil {
		return p, fmt.Errorf("%q is no pattern: %w", text, err)
	}
	glob, p.folders = strings.CutSuffix(glob, "/")
	rest, rooted := strings.CutPrefix(glob, "/")
	p.segments = strings.Split(rest, "/")
	p.anywhere = !rooted && len(p.segments) == 1
	if n := len(p.segments); p.segments[n-1] == anyDepth {
		// What lies in a folder, and not the folder itself.
		p.segments = append(p.segments, "*")
	}
	for _, seg := range p.segments {
		switch {
		case seg == "":
			return p, fmt.Errorf("%q is no pattern: there is nothing between two slashes", text)
		case !doublestar.ValidatePattern(seg):
			return p, fmt.Errorf("%q is no pattern: a brace has no partner, or a slash before it", text)
		}
	}
	return p, nil
}

var (
	errOpenClass  = errors.New("a [ is not closed")
	errNamedClass = errors.New("classes such as [:space:] are not known; list the characters")
	errLoneEscape = errors.New("nothing follows the last backslash")
	errSlash      = errors.New("a slash cannot be escaped, nor be in a class")
	errEmpty      = errors.New("it is empty")
)

// translate writes a pattern of git as package doublestar has it: in a class a
// first ] is one of its characters, braces are plain where they are to be, and
// several stars are one, but for those that are all there is between slashes.
func translate(text string, s syntax) (string, error) {
	if text == "" || text == "/" {
		return "", errEmpty
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		n := 1
		switch c := text[i]; {
		case c == '\\' && i+1 == len(text):
			return "", errLoneEscape
		case c == '\\' && text[i+1] == '/':
			return "", errSlash
		case c == '\\':
			n = 2
		case c == '[':
			class, length, err := translateClass(text[i:])
			if err != nil {
				return "", err
			}
			b.WriteString(class)
			i += length
			continue
		case c == '*':
			stars := len(text[i:]) - len(strings.TrimLeft(text[i:], "*"))
			if (i == 0 || text[i-1] == '/') && (i+stars == len(text) || text[i+stars] == '/') && stars > 1 {
				b.WriteByte('*')
			}
			b.WriteByte('*')
			i += stars
			continue
		case s == plainBraces && (c == '{' || c == '}'):
			b.WriteByte('\\')
		}
		b.WriteString(text[i : i+n])
		i += n
	}
	return b.String(), nil
}

// translateClass is translate for the class that text begins with; length is
// how much of text it is.
func translateClass(text string) (class string, length int, err error) {
	var b strings.Builder
	b.WriteByte('[')
	i := 1
	if i < len(text) && (text[i] == '!' || text[i] == '^') {
		b.WriteByte('^')
		i++
	}
	for first := i; i < len(text); i++ {
		switch c := text[i]; {
		case c == ']' && i > first:
			b.WriteByte(']')
			return b.String(), i + 1, nil
		case c == '/' || strings.HasPrefix(text[i:], `\/`):
			return "", 0, errSlash
		case c == '[' && strings.HasPrefix(text[i:], "[:"):
			return "", 0, errNamedClass
		case c == '\\':
			if i++; i == len(text) {
				return "", 0, errLoneEscape
			}
			b.WriteByte('\\')
		case c == ']' || c == '{' || c == '}' || c == '[':
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return "", 0, errOpenClass
}

// match reports whether the pattern is one of this file or folder itself; what
// lies in a folder that it matches is not its concern.
func (p pattern) match(elements []string, folder bool) bool {
	if p.folders && !folder {
		return false
	}
	if p.anywhere {
		elements = elements[len(elements)-1:]
	}
	return matchSegments(p.segments, elements)
}

// matchSegments goes back to the last ** only: whatever an earlier one could
// still take, the last one can take as well.
func matchSegments(segments, elements []string) bool {
	s, e := 0, 0
	again, from := -1, 0 // where to go on after **, and with which element
	for e < len(elements) {
		switch {
		case s < len(segments) && segments[s] == anyDepth:
			s++
			again, from = s, e
		case s < len(segments) && doublestar.MatchUnvalidated(segments[s], elements[e]):
			s++
			e++
		case again >= 0:
			from++
			s, e = again, from
		default:
			return false
		}
	}
	for s < len(segments) && segments[s] == anyDepth {
		s++
	}
	return s == len(segments)
}
