package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmes are README.md and its translation, which is held to it.
var readmes = []string{"README.md", "README.zh-CN.md"}

var (
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	span    = regexp.MustCompile("`([^`]+)`")
	comment = regexp.MustCompile(`\s{2,}# .*$`)
)

// section is what a heading of a document has under it, as far as it does not
// depend on the language.
type section struct {
	level int
	title string
	// code is the indented blocks, line by line without their comments; the
	// line before each block is empty.
	code []string
	// spans is what stands in backticks and links where links lead, each once and sorted.
	spans, links []string
	rows, items  int
	prose        strings.Builder
}

// sections cuts a document at its headings. What is before the first is none.
func sections(t *testing.T, text string) []*section {
	t.Helper()
	var all []*section
	indented := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if heading := strings.TrimLeft(line, "#"); len(heading) < len(line) {
			all = append(all, &section{level: len(line) - len(heading), title: strings.TrimSpace(heading)})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("the document begins with %q and not with a heading", line)
		}
		indented = all[len(all)-1].add(line, indented)
	}
	for _, s := range all {
		s.spans = findAll(span, s.prose.String())
		s.links = findAll(linked, s.prose.String())
	}
	return all
}

// add takes in one line and says whether it was of an indented block.
func (s *section) add(line string, indented bool) bool {
	if strings.HasPrefix(line, "    ") {
		if !indented {
			s.code = append(s.code, "")
		}
		s.code = append(s.code, comment.ReplaceAllString(line, "  #"))
		return true
	}
	switch {
	case strings.HasPrefix(line, "|"):
		s.rows++
	case strings.HasPrefix(line, "- "):
		s.items++
	}
	s.prose.WriteString(strings.TrimSpace(line) + " ")
	return false
}

func findAll(re *regexp.Regexp, text string) []string {
	var out []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestReadmesSayTheSame: the two have the same sections, and each section the
// same code in the same order, words in backticks, links, table rows and list
// items, so that neither is changed without the other.
func TestReadmesSayTheSame(t *testing.T) {
	ours, theirs := sections(t, readDocument(t, readmes[0])), sections(t, readDocument(t, readmes[1]))
	if len(ours) != len(theirs) {
		t.Fatalf("%s has %d sections, %s %d", readmes[0], len(ours), readmes[1], len(theirs))
	}
	code, rows := 0, 0
	for i, one := range ours {
		other := theirs[i]
		for _, difference := range differences(one, other) {
			t.Errorf("%q in %s, %q in %s: %s", one.title, readmes[0], other.title, readmes[1], difference)
		}
		code += len(one.code)
		rows += one.rows
	}
	if len(ours) < 5 || code < 30 || rows < 10 {
		t.Errorf("%s has %d sections, %d lines of code and %d table rows: this test does not see all of it", readmes[0], len(ours), code, rows)
	}
}

// differences says how two sections differ. The links by which the readmes lead
// to each other are none.
func differences(a, b *section) []string {
	var out []string
	if a.level != b.level || a.rows != b.rows || a.items != b.items {
		out = append(out, fmt.Sprintf("level %d, %d table rows and %d list items are %d, %d and %d there",
			a.level, a.rows, a.items, b.level, b.rows, b.items))
	}
	for i := range max(len(a.code), len(b.code)) {
		if x, y := at(a.code, i), at(b.code, i); x != y {
			out = append(out, fmt.Sprintf("the code %q is %q there", x, y))
			break
		}
	}
	toEachOther := func(link string) bool { return slices.Contains(readmes, link) }
	for _, set := range []struct {
		what string
		a, b []string
	}{
		{"code in backticks", a.spans, b.spans},
		{"link", slices.DeleteFunc(slices.Clone(a.links), toEachOther), slices.DeleteFunc(slices.Clone(b.links), toEachOther)},
	} {
		for _, word := range lacking(set.b, set.a) {
			out = append(out, fmt.Sprintf("the %s %q is missing there", set.what, word))
		}
		for _, word := range lacking(set.a, set.b) {
			out = append(out, fmt.Sprintf("the %s %q is only there", set.what, word))
		}
	}
	return out
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// lacking is what of wanted is not in have.
func lacking(have, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(s string) bool { return slices.Contains(have, s) })
}

// TestReadmesLinkToEachOther: each has the other's link below its title.
func TestReadmesLinkToEachOther(t *testing.T) {
	for i, name := range readmes {
		first := sections(t, readDocument(t, name))[0]
		if other := readmes[1-i]; !slices.Contains(first.links, other) {
			t.Errorf("%s has no link to %s below its title", name, other)
		}
	}
}
