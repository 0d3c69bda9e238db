package selection

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Filter decides which of the files that were found are taken. Its patterns
// are those of .gitignore. The last one that matches a file or folder decides
// over it, and over what lies in it as far as no later pattern says otherwise.
// What no pattern matches is taken, unless the first pattern is one of Include
// (as grep has it). The zero Filter takes everything.
//
// Lines of a file of patterns mean what they mean to git. What they say of a
// folder when they take it again leaves what lies in it to all of them, earlier
// ones too. A folder that they leave out is not looked into, so that nothing in
// it can be taken again; nor is one that a pattern with a slash at its end
// leaves out, wherever that comes from.
type Filter struct {
	rules []rule
	// closed: what no pattern matches is left out.
	closed bool
}

type rule struct {
	pattern
	include bool
	// line: it is of a file of patterns.
	line bool
}

// Include adds a pattern of what is taken, Exclude one of what is left out.
func (f *Filter) Include(text string) error { return f.addFlag(text, true) }

// Exclude adds a pattern of what is left out.
func (f *Filter) Exclude(text string) error { return f.addFlag(text, false) }

func (f *Filter) addFlag(text string, include bool) error {
	p, err := parsePattern(text, withBraces)
	if err != nil {
		return err
	}
	f.closed = f.closed || include && len(f.rules) == 0
	f.rules = append(f.rules, rule{pattern: p, include: include})
	return nil
}

// maxLine bounds a line of patterns, and an entry of a list of files: more
// than the longest path of any system.
const maxLine = 64 << 10

// AddLines adds the patterns of a file like .gitignore: one a line; empty lines
// and those that begin with # say nothing, those that begin with ! are of what
// is taken again. An error names the line.
func (f *Filter) AddLines(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		text := lines.Bytes()
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")) // what some editors begin a file with
		}
		if err := f.addLine(string(text)); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d has more than %d bytes", n+1, maxLine)
	case err != nil:
		return fmt.Errorf("after line %d: %w", n, err)
	}
	return nil
}

func (f *Filter) addLine(line string) error {
	line = trimSpaces(line)
	if line == "" || line[0] == '#' {
		return nil
	}
	line, include := strings.CutPrefix(line, "!")
	p, err := parsePattern(line, plainBraces)
	if err == nil {
		f.rules = append(f.rules, rule{pattern: p, include: include, line: true})
	}
	return err
}

// trimSpaces drops the spaces at the end of a line, but not one that follows a
// backslash.
func trimSpaces(line string) string {
	trimmed := strings.TrimRight(line, " ")
	escapes := len(trimmed) - len(strings.TrimRight(trimmed, `\`))
	if len(trimmed) < len(line) && escapes%2 == 1 {
		return trimmed + " "
	}
	return trimmed
}

// verdict is what a filter says of a file or folder.
type verdict struct {
	taken bool
	// by is the rule that decided so: an earlier one that matches something in
	// the folder changes nothing. -1 lets every rule decide anew.
	by int
	// final: it is a folder and is not looked into.
	final bool
}

// root is the verdict on the folder that paths begin in.
func (f *Filter) root() verdict { return verdict{taken: !f.closed, by: -1} }

// child is the verdict on a file or folder in a folder that has the verdict
// given; its path is cut into elements.
func (f *Filter) child(parent verdict, elements []string, folder bool) verdict {
	for i := len(f.rules) - 1; i > parent.by; i-- {
		r := f.rules[i]
		switch {
		case !r.match(elements, folder):
			continue
		case r.include && r.line:
			return verdict{taken: true, by: -1}
		case r.include:
			return verdict{taken: true, by: i}
		}
		return verdict{by: i, final: r.line || r.folders}
	}
	return parent
}

// skips reports whether nothing in a folder with this verdict can be taken.
func (f *Filter) skips(v verdict) bool {
	if v.taken || v.by < 0 {
		return false
	}
	return v.final || !slices.ContainsFunc(f.rules[v.by+1:], func(r rule) bool { return r.include })
}

// folder is the verdict on the folder with these elements, by way of those it
// lies in.
func (f *Filter) folder(elements []string) verdict {
	v := f.root()
	for n := 1; n <= len(elements) && !f.skips(v); n++ {
		v = f.child(v, elements[:n], true)
	}
	return v
}

// file reports whether the file with these elements is taken, if it were found
// by walking to it.
func (f *Filter) file(elements []string) bool {
	v := f.folder(elements[:len(elements)-1])
	return !f.skips(v) && f.child(v, elements, false).taken
}
