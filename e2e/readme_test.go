package e2e

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	osp "github.com/osproxy/osproxy/cmd/osp/cli"
	ospd "github.com/osproxy/osproxy/cmd/ospd/cli"
)

var (
	invocation = regexp.MustCompile(`(?:^|[\s(])(?:bin/)?(ospd?) (?:-p [A-Z]+ )?([a-z]+(?:-[a-z]+)*)([^|)]*)`)
	longFlag   = regexp.MustCompile(`(?:^|\s)--([a-z][a-z0-9-]+)`)
)

// TestLinksOfDocumentsResolve: each relative link leads to a file or folder of the
// repository.
func TestLinksOfDocumentsResolve(t *testing.T) {
	documents := append([]string{"ARCHITECTURE.md", "CONTRIBUTING.md"}, readmes...)
	inDocs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range inDocs {
		documents = append(documents, "docs/"+filepath.Base(name))
	}
	for _, name := range documents {
		links := findAll(linked, readDocument(t, name))
		for _, link := range links {
			file, _, _ := strings.Cut(link, "#")
			if file == "" || strings.Contains(link, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(name), file)); err != nil {
				t.Errorf("%s has a link to %s, which does not exist", name, link)
			}
		}
		if slices.Contains(readmes, name) && len(links) < 8 {
			t.Errorf("%s has %d links: this test does not see all of them", name, len(links))
		}
	}
}

// TestReadmeVerbsAndFlagsExist: each osp and ospd command that a README shows is
// of a verb that there is, with flags that its help names.
func TestReadmeVerbsAndFlagsExist(t *testing.T) {
	helps := map[string]string{}
	for _, name := range readmes {
		commands := 0
		for _, s := range sections(t, readDocument(t, name)) {
			for _, line := range slices.Concat(s.code, s.spans) {
				for _, m := range invocation.FindAllStringSubmatch(comment.ReplaceAllString(line, ""), -1) {
					commands++
					checkCommand(t, name, helps, m[1], m[2], m[3])
				}
			}
		}
		if commands < 50 {
			t.Errorf("%s shows %d commands: this test does not see all of them", name, commands)
		}
	}
}

// checkCommand looks the flags of one command up in the help of its verb, which
// helps remembers.
func checkCommand(t *testing.T, document string, helps map[string]string, program, verb, rest string) {
	t.Helper()
	words := verbWords(verb, strings.Fields(rest))
	if slices.Equal(words, []string{"help", "VERB"}) {
		return
	}
	command := program + " " + strings.Join(words, " ")
	help, known := helps[command]
	if !known {
		help = helpOf(program, words)
		helps[command] = help
	}
	if help == "" {
		t.Errorf("%s shows `%s`, which %s does not know", document, command, program)
		return
	}
	for _, flag := range longFlag.FindAllStringSubmatch(rest, -1) {
		if !regexp.MustCompile(`(?m)^ .*--` + regexp.QuoteMeta(flag[1]) + `\b`).MatchString(help) {
			t.Errorf("%s shows `%s --%s`; there is no such flag", document, command, flag[1])
		}
	}
}

// verbWords are the words that name a verb: two for those that have verbs of
// their own, and for help and its topic; three below admin.
func verbWords(verb string, rest []string) []string {
	if len(rest) > 0 && slices.Contains([]string{"help", "profile", "token", "transfers"}, verb) {
		return []string{verb, rest[0]}
	}
	if len(rest) > 0 && verb == "admin" {
		if len(rest) > 1 && slices.Contains([]string{"jobs", "webhooks"}, rest[0]) {
			return []string{verb, rest[0], rest[1]}
		}
		return []string{verb, rest[0]}
	}
	return []string{verb}
}

// helpOf is the help of a verb or a topic and of the flags of every verb, or
// nothing if there is no such verb: its help is then that of the words before it.
func helpOf(program string, words []string) string {
	var out, parent strings.Builder
	run := func(w io.Writer, args ...string) int {
		if program == "osp" {
			return osp.Main(args, strings.NewReader(""), w, io.Discard, nil)
		}
		return ospd.Main(args, strings.NewReader(""), w, io.Discard)
	}
	args := append(slices.Clone(words), "--help")
	if words[0] == "help" {
		args = words
	}
	above := append(slices.Clone(words[:len(words)-1]), "--help")
	if run(&out, args...) != 0 || run(&parent, above...) != 0 || out.String() == parent.String() {
		return ""
	}
	run(&out, "--help")
	return out.String()
}
