package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/docs/schema/schematest"
)

// verbs are all commands that do something, by the words that name them: a new
// one is among them by itself.
func verbs(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	found := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.Name() == "completion" || sub.Name() == "help" {
				continue // they print text that is made for shells and people
			}
			walk(sub)
		}
		if cmd.RunE != nil && (!cmd.HasSubCommands() || cmd.Annotations[printsObjects] != "") {
			found[strings.TrimPrefix(cmd.CommandPath(), "osp ")] = cmd
		}
	}
	walk(newRoot(newSession(strings.NewReader(""), io.Discard, io.Discard, nil)))
	if len(found) < 14 {
		t.Fatalf("there are %d verbs", len(found))
	}
	return found
}

// sample is a command line with which the verb begins to work, made from the
// words of its usage.
func sample(t *testing.T, cmd *cobra.Command, dir string) []string {
	t.Helper()
	words := map[string]string{
		"FILE": filepath.Join(dir, "file"), "PATH": filepath.Join(dir, "file"), "DIR": dir, "PREFIX": "prefix",
		"UID": "1234567890123456", "TRANSFER": "01JD0000000000000000000000", "NAME": "work",
		"JOB": "42", "METHOD": "GET", "SOURCE": "s3:minio/photos/", "KIND": "sweep", "WEBHOOK": "3", "NODE": "0123456789abcdef0123456789abcdef", "URL": "https://example.com/",
	}
	args := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "osp "))
	given := []string{}
	for _, word := range strings.FieldsFunc(cmd.Use, func(r rune) bool { return strings.ContainsRune(" []|.", r) })[1:] {
		if cmd.ValidateArgs(given) == nil {
			break
		}
		if words[word] == "" {
			t.Fatalf("%s: what is %s? Tell the words of this test.", cmd.CommandPath(), word)
		}
		given = append(given, words[word])
	}
	if err := cmd.ValidateArgs(given); err != nil {
		t.Fatalf("%s: %q: %v", cmd.CommandPath(), given, err)
	}
	if cmd.Flags().Lookup("yes") != nil {
		args = append(args, "--yes")
	}
	return append(args, given...)
}

// TestEveryVerbFailsInJSON: whatever keeps a verb from its work, --json prints
// what is published, and the summary has the exit code.
func TestEveryVerbFailsInJSON(t *testing.T) {
	schemas, err := schematest.Load()
	if err != nil {
		t.Fatal(err)
	}
	dir := folderWithFile(t)
	t.Chdir(t.TempDir())
	for verb, cmd := range verbs(t) {
		name := strings.Fields(verb)
		ways := map[string][]string{
			"an unknown flag": slices.Concat(name, []string{"--no-such-flag"}),
			"no daemon":       append(sample(t, cmd, dir), "--retries", "0"),
		}
		if cmd.ValidateArgs(nil) != nil {
			ways["a missing argument"] = name
		}
		if many := strings.Fields("1 2 3 4 5 6 7 8 9"); cmd.ValidateArgs(many) != nil {
			ways["too many arguments"] = slices.Concat(name, many)
		}
		for way, args := range ways {
			env := environment{"OSP_SERVER": "http://127.0.0.1:1"}
			code, stdout, stderr := osp(t.Context(), t, env, append(args, "--json")...)
			if err := schemas.Output(verb, []byte(stdout)); err != nil {
				t.Errorf("%s with %s: %v", verb, way, err)
			}
			if way != "no daemon" && (code != exitUsage || stderr == "") {
				t.Errorf("%s with %s: exit %d, stderr %q", verb, way, code, stderr)
			}
			if said := summaryExit(t, stdout); said >= 0 && said != code {
				t.Errorf("%s with %s: exit %d, and the summary says %d", verb, way, code, said)
			}
			if strings.ContainsAny(stdout+stderr, "\r\x1b\b") {
				t.Errorf("%s with %s draws where no terminal is: %q, %q", verb, way, stdout, stderr)
			}
			onlyEmpty(t, verb)
		}
	}
}

// TestNoVerbAsks: where nobody can answer, no verb waits for an answer, and
// none reads standard input that was not told to.
func TestNoVerbAsks(t *testing.T) {
	dir := folderWithFile(t)
	t.Chdir(t.TempDir())
	readers := map[string]bool{"login": true} // a token, from whatever is there
	for verb, cmd := range verbs(t) {
		if readers[verb] {
			continue
		}
		args := append(sample(t, cmd, dir), "--retries", "0")
		args = slices.DeleteFunc(args, func(a string) bool { return a == "--yes" })
		in, silent, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("OSP_HOME", t.TempDir())
		var out, errs bytes.Buffer
		s := newSession(in, &out, &errs, environment{"OSP_SERVER": "http://127.0.0.1:1"})
		ended := make(chan int, 1)
		go func() { ended <- s.run(t.Context(), args) }()
		select {
		case <-ended:
		case <-time.After(time.Minute): // only decides how late a broken build is found out
			t.Errorf("%q waits for standard input", args)
		}
		silent.Close()
		in.Close()
		if strings.Contains(errs.String(), "[y/N]") {
			t.Errorf("%q asks: %q", args, errs.String())
		}
		onlyEmpty(t, verb)
	}
}

// TestObjectsArePublished: the verbs that print objects are those of which
// schematest knows the schema.
func TestObjectsArePublished(t *testing.T) {
	published := schematest.Objects()
	for verb, cmd := range verbs(t) {
		_, known := published[verb]
		if prints := cmd.Annotations[printsObjects] != ""; prints != known {
			t.Errorf("%s prints objects: %v; schematest.Objects knows it: %v", verb, prints, known)
		}
		delete(published, verb)
	}
	if len(published) > 0 {
		t.Errorf("schematest.Objects knows %v, which are no verbs", published)
	}
}

func folderWithFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// onlyEmpty checks that nothing was written in the working directory.
func onlyEmpty(t *testing.T, verb string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) > 0 {
		t.Fatalf("%s left %v in the working directory (%v)", verb, entries, err)
	}
}

// summaryExit is the exit code in the summary, -1 where there is none.
func summaryExit(t *testing.T, stdout string) int {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	var sum summaryLine
	if stdout == "" {
		return -1
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.Type != "summary" {
		return -1
	}
	return sum.Exit
}
