package selection

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// lines makes a filter of a file of patterns.
func lines(t testing.TB, text string) Filter {
	t.Helper()
	var f Filter
	if err := f.AddLines(strings.NewReader(text)); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return f
}

// flags makes a filter of patterns that begin with + or -.
func flags(t testing.TB, patterns ...string) Filter {
	t.Helper()
	var f Filter
	for _, p := range patterns {
		add := map[byte]func(string) error{'+': f.Include, '-': f.Exclude}[p[0]]
		if err := add(p[1:]); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// takes asks for a file; one that ends in a slash is a folder, and taken if it
// is looked into.
func takes(f *Filter, path string) bool {
	folder, is := strings.CutSuffix(path, "/")
	elements := strings.Split(folder, "/")
	if !is {
		return f.file(elements)
	}
	v := f.folder(elements)
	return !f.skips(v) && v.taken
}

// check fails for each of the files, separated by spaces, that is not as
// wanted.
func check(t *testing.T, what string, f Filter, want bool, files string) {
	t.Helper()
	for path := range strings.FieldsSeq(files) {
		if got := takes(&f, path); got != want {
			t.Errorf("%s: %s is taken: %v, want %v", what, path, got, want)
		}
	}
}

// TestLinesAreThoseOfGit: the examples of gitignore(5), in the order there.
func TestLinesAreThoseOfGit(t *testing.T) {
	for _, tt := range []struct{ lines, out, in string }{
		// The forms a line may have.
		{"", "", "a a/b"},
		{"\n\n   \n", "", "a"},
		{"# comment\n\\#literal", "#literal a/#literal", "comment #comment"},
		{"*.log\n!keep.log", "a.log b/a.log", "keep.log b/keep.log a.txt"},
		{"!keep.log\n*.log", "keep.log a.log", ""},
		{"*.log\n\\!important!.log", "!important!.log a.log", "important!.log.x"},
		{"trailing  ", "trailing", ""},
		{"trailing\\ ", "", "trailing"},
		{"build/", "build/ build/x build/x/y a/build/x", "build"},
		{"*.o\r\n!a.o\r\n", "b.o", "a.o"},
		{"\xEF\xBB\xBFa", "a", ""},
		// Where there is a slash.
		{"doc/frotz/", "doc/frotz/ doc/frotz/x", "a/doc/frotz/ a/doc/frotz/x"},
		{"frotz/", "frotz/ a/frotz/ a/frotz/x", "frotz a/frotz"},
		{"doc/frotz", "doc/frotz doc/frotz/x", "a/doc/frotz"},
		{"/doc/frotz", "doc/frotz doc/frotz/x", "a/doc/frotz"},
		{"hello.*", "hello.txt hello.c a/hello.java hello.d/x", "hello ahello.txt"},
		{"/hello.*", "hello.txt hello.c", "a/hello.java"},
		// Stars, question marks, classes.
		{"foo/*", "foo/test.json foo/bar/ foo/bar/hello.c", "foo a/foo/test.json"},
		{"foo/*.c", "foo/hello.c", "foo/bar/hello.c"},
		{"a?c", "abc a-c", "ac a/c abbc"},
		{"*.[oa]", "x.o lib.a d/x.o", "x.c x.oa"},
		{"[a-c]x", "ax bx cx", "dx"},
		{"[!a-c]x", "dx", "ax x"},
		{"[^a-c]x", "dx", "ax"},
		{"[]-]x", "]x -x", "ax"},
		{"[!]]x", "ax", "]x"},
		{"foo[!x]bar", "foo-bar", "foo/bar"},
		{"foo?bar", "", "foo/bar"},
		{"a/foo[!x]bar", "a/foo-bar", "a/foo/bar"},
		{"Documentation/*.html\n!foo.html", "Documentation/git.html", "Documentation/ppc/ppc.html Documentation/foo.html git.html"},
		{"vmlinux*\n!/vmlinux*", "a/vmlinux-1", "vmlinux.lds.S"},
		// Two stars.
		{"**/foo", "foo a/foo a/b/foo", "foobar"},
		{"**/foo/bar", "foo/bar a/foo/bar a/foo/bar/x", "foo/x/bar"},
		{"abc/**", "abc/x abc/x/y", "abc a/abc/x"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "b a/x/bc c/a/b"},
		{"a/**b", "a/b a/xb", "a/x/b"},
		{"a***", "a ab", "b"},
		{"a/***/b", "a/b a/x/y/b", "b"},
		{"\\**", "* *a", "a"},
		{"**", "a a/b", ""},
		{"/**", "a a/b", ""},
		{"**/", "a/ a/b a/b/c", "a"},
		{"/*", "a b/ b/c", ""},
		// Braces say nothing.
		{"{arch}", "{arch}", "arch"},
		{"*.{a,b}", "x.{a,b}", "x.a x.b"},
		{"[{]x", "{x", "x"},
		// Everything but one folder.
		{"/*\n!/foo\n/foo/*\n!/foo/bar\n", "a foo/a foo/baz/a", "foo/bar/ foo/bar/a foo/bar/b/c"},
		// Without the slash it is also about what lies in foo/bar.
		{"*\n!/foo\n/foo/*\n!/foo/bar\n", "a foo/a foo/bar/a", ""},
		// What is in a folder that is left out is not taken again.
		{"build\n!build/keep", "build/keep build/x", ""},
		{"build/\n!keep", "build/keep", "keep"},
		{"build/\n!build/", "", "build/x"},
		{"*\n!*.jpg", "a/x.jpg", "x.jpg"},
		{"*\n!*/\n!*.jpg", "a/x.txt", "x.jpg a/x.jpg"},
	} {
		f := lines(t, tt.lines)
		check(t, tt.lines, f, false, tt.out)
		check(t, tt.lines, f, true, tt.in)
	}
}

// TestTheLastFlagWins: what is said on the command line.
func TestTheLastFlagWins(t *testing.T) {
	for _, tt := range []struct {
		flags   []string
		out, in string
	}{
		{nil, "", "a a/b"},
		{[]string{"-*.log"}, "x.log a/x.log", "x.txt a/x.txt"},
		{[]string{"-*.log", "+keep.log"}, "x.log", "keep.log a/keep.log x.txt"},
		{[]string{"-*.log", "+keep.log", "-a/keep.log"}, "a/keep.log", "keep.log b/keep.log"},
		// What no pattern matches is left out where the first says what to take.
		{[]string{"+*.jpg"}, "x.png a/x.png a/b/x.png", "x.jpg a/x.jpg a/b/x.jpg"},
		{[]string{"+*.jpg", "-draft*"}, "x.png draft.jpg a/draft.jpg draft/x.png", "x.jpg"},
		{[]string{"+keep.log", "-*.log"}, "keep.log x.txt", ""},
		{[]string{"+a/"}, "x b/x a", "a/x a/b/c b/a/x"},
		{[]string{"+/a/b"}, "a/c x/a/b", "a/b a/b/c"},
		// A folder that a pattern of anything leaves out is looked into all the
		// same where a later one may find something there; a later one about
		// the folder takes what is in it.
		{[]string{"-*", "+*.jpg"}, "x.png a/x.png", "x.jpg a/x.jpg a/b/x.jpg"},
		{[]string{"-*", "+a/"}, "x b/x", "a/x a/b/x"},
		{[]string{"-a", "+a/b/c"}, "a/x a/b/x", "a/b/c a/b/c/x x"},
		{[]string{"+x", "-a", "+a/b"}, "a/c y a/x b/y", "a/b a/b/y x b/x"},
		// One that ends in a slash means all of it.
		{[]string{"-a/", "+*.jpg"}, "a/x.jpg", "x.jpg a"},
		{[]string{"-a/", "+a/"}, "", "a/x"},
		{[]string{"-*.{log,tmp}"}, "x.log x.tmp", "x.{log,tmp} x.txt"},
		{[]string{"-{a,b}/c"}, "a/c b/c", "c d/a/c"},
		{[]string{"-!x"}, "!x", "x"},
		{[]string{"-#x"}, "#x", "x"},
		{[]string{"- x "}, "", "x"},
		{[]string{`-a\*b`}, "a*b", "axb"},
	} {
		f := flags(t, tt.flags...)
		check(t, strings.Join(tt.flags, " "), f, false, tt.out)
		check(t, strings.Join(tt.flags, " "), f, true, tt.in)
	}
}

// TestFoldersAreSkipped: what cannot hold anything is not walked through.
func TestFoldersAreSkipped(t *testing.T) {
	for _, tt := range []struct {
		f    Filter
		skip bool
	}{
		{flags(t, "-a"), true},
		{flags(t, "-a/"), true},
		{flags(t, "-a", "+b"), false},
		{flags(t, "+b", "-a"), true},
		{flags(t, "-a/", "+b"), true},
		{flags(t, "+b"), false},
		{flags(t, "-b"), false},
		{lines(t, "a\n!b"), true},
		{lines(t, "a\n!a"), false},
	} {
		if got := tt.f.skips(tt.f.folder([]string{"a"})); got != tt.skip {
			t.Errorf("%+v skips a: %v", tt.f.rules, got)
		}
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "/", "a[", "[", "[]", "[!]", "[a", "a//b", "//", "a\\", "[a\\", "[[:space:]]", "a/[b/c]", `a\/b`, `[\/]`, "{a", "a}", "{a/b}"} {
		var f Filter
		if f.Exclude(text) == nil || f.Include(text) == nil || len(f.rules) != 0 {
			t.Errorf("%q is a pattern: %+v", text, f.rules)
		}
	}
	for text, want := range map[string]string{
		"a\n[b\nc":                       `line 2: "[b" is no pattern: a [ is not closed`,
		"/":                              `line 1: "/" is no pattern: it is empty`,
		"!":                              "line 1: ",
		"a\n" + strings.Repeat("x", 1e5): "line 2 has more than 65536 bytes",
	} {
		var f Filter
		if err := f.AddLines(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	var f Filter
	if err := f.AddLines(iotest.ErrReader(bytes.ErrTooLarge)); err == nil || !strings.HasPrefix(err.Error(), "after line 0: ") {
		t.Error(err)
	}
}

// FuzzLines compares a filter with one that asks regular expressions, folder by
// folder, as git describes it.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"*.log\n!keep.log\x00a/keep.log", "/*\n!/foo\n/foo/*\n!/foo/bar\x00foo/bar/x", "a/**/b\x00a/x/y/b", "**/a/**\x00b/a/c/d",
		"[!a-c]*\\\\?\x00x/dd\\e", "\\#x\n#y\n\\!z \x00#x", "**\n!**/\x00a/b", "[]a]b[^\\]]\x00]bc", "a**b/*c\x00axb/c", "{a,b}\x00{a,b}",
		"a/**/**/b/**\x00a/b/b", "*/*\x00a", "[\xff]\x00\xff", "é?\x00éé",
	} {
		text, path, _ := strings.Cut(seed, "\x00")
		f.Add(text, path)
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		var filter Filter
		if err := filter.AddLines(strings.NewReader(text)); err != nil {
			return
		}
		elements := strings.Split(path, "/")
		if len(text) > 300 || len(elements) > 10 {
			return // the model would take its time
		}
		if slices.Contains(elements, "") || strings.Contains(path, "\n") || !validText(text, path) {
			return // not a path, or one on which regular expressions have another view
		}
		if got, want := filter.file(elements), modelTakes(text, elements); got != want {
			t.Errorf("%q of %q is taken: %v, want %v", path, text, got, want)
		}
	})
}

func validText(texts ...string) bool {
	for _, s := range texts {
		if strings.ToValidUTF8(s, "") != s || strings.ContainsRune(s, '\uFFFD') || strings.Contains(s, "\uFEFF") {
			return false
		}
	}
	return true
}

// modelTakes walks to the file: the last line that matches a folder on the way
// says whether the walk goes on.
func modelTakes(text string, elements []string) bool {
	for n := 1; n <= len(elements); n++ {
		out := false
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimSuffix(line, "\r")
			for strings.HasSuffix(line, " ") && !modelEscaped(line, len(line)-1) {
				line = line[:len(line)-1]
			}
			if line == "" || line[0] == '#' {
				continue
			}
			line, again := strings.CutPrefix(line, "!")
			line, folders := strings.CutSuffix(line, "/")
			if folders && n == len(elements) {
				continue
			}
			if regexp.MustCompile(modelExpression(line)).MatchString(strings.Join(elements[:n], "/")) {
				out = !again
			}
		}
		if out {
			return false
		}
	}
	return true
}

func modelEscaped(s string, i int) bool {
	return (len(s[:i])-len(strings.TrimRight(s[:i], `\`)))%2 == 1
}

// modelExpression is a pattern of git as a regular expression.
func modelExpression(glob string) string {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	if !strings.Contains(glob, "/") {
		b.WriteString(`(?:.*/)?`)
	}
	glob = strings.TrimPrefix(glob, "/")
	segments := strings.Split(glob, "/")
	for i, seg := range segments {
		switch {
		case len(seg) > 1 && strings.Trim(seg, "*") == "" && i == len(segments)-1:
			b.WriteString(`.+`)
		case len(seg) > 1 && strings.Trim(seg, "*") == "":
			b.WriteString(`(?:[^/]+/)*`)
		default:
			b.WriteString(modelSegment(seg))
			if i < len(segments)-1 {
				b.WriteByte('/')
			}
		}
	}
	return b.String() + `$`
}

func modelSegment(seg string) string {
	var b strings.Builder
	for runes := []rune(seg); len(runes) > 0; {
		c := runes[0]
		runes = runes[1:]
		switch c {
		case '*':
			b.WriteString(`[^/]*`)
		case '?':
			b.WriteString(`[^/]`)
		case '\\':
			b.WriteString(regexp.QuoteMeta(string(runes[0])))
			runes = runes[1:]
		case '[':
			var class string
			class, runes = modelClass(runes)
			b.WriteString(class)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}

// modelClass reads a class whose bracket was read.
func modelClass(runes []rune) (string, []rune) {
	negate := runes[0] == '!' || runes[0] == '^'
	if negate {
		runes = runes[1:]
	}
	var members [][2]rune
	next := func() rune {
		if runes[0] == '\\' {
			runes = runes[1:]
		}
		c := runes[0]
		runes = runes[1:]
		return c
	}
	for first := true; first || runes[0] != ']'; first = false {
		lo := next()
		hi := lo
		if runes[0] == '-' && runes[1] != ']' {
			runes = runes[1:]
			hi = next()
		}
		// Git takes the first of a range even where the range is empty.
		members = append(members, [2]rune{lo, lo}, [2]rune{lo, hi})
	}
	var b strings.Builder
	for _, m := range members {
		if m[0] <= m[1] {
			b.WriteString(`|` + `[` + modelEscape(m[0]) + `-` + modelEscape(m[1]) + `]`)
		}
	}
	one := strings.TrimPrefix(b.String(), "|")
	switch {
	case negate && one == "":
		return `[^/]`, runes[1:]
	case one == "":
		return `[^\x{0}-\x{10FFFF}]`, runes[1:]
	case negate:
		return `[^/` + strings.NewReplacer("|[", "", "[", "", "]", "").Replace(one) + `]`, runes[1:]
	}
	return `(?:` + one + `)`, runes[1:]
}

func modelEscape(c rune) string { return fmt.Sprintf(`\x{%X}`, c) }
