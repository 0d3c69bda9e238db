package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everything are all commands that help knows, by their paths: verbs, those that
// only have verbs below them, topics, and the root.
func everything(t *testing.T) map[string]*cobra.Command {
	t.Helper()
	all := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		all[cmd.CommandPath()] = cmd
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	root := newRoot(newSession(strings.NewReader(""), io.Discard, io.Discard, nil))
	root.InitDefaultHelpCmd()
	walk(root)
	if len(all) < 25 {
		t.Fatalf("there are %d commands", len(all))
	}
	return all
}

func isTopic(cmd *cobra.Command) bool { return cmd.IsAdditionalHelpTopicCommand() }

// TestHelpReadsWell: every command says what it does, in a line and at length,
// and shows how it is typed; and all of it fits a terminal.
func TestHelpReadsWell(t *testing.T) {
	for path, cmd := range everything(t) {
		_, text, _ := osp(t.Context(), t, nil, append([]string{"help"}, strings.Fields(path)[1:]...)...)
		for line := range strings.Lines(text) {
			if len([]rune(strings.TrimSuffix(line, "\n"))) > textWidth {
				t.Errorf("osp help %s: %q is wider than %d", path, line, textWidth)
			}
		}
		if strings.Contains(text, "\n\n\n") || strings.HasSuffix(text, "\n\n") {
			t.Errorf("osp help %s has two empty lines together", path)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s is described as %q", path, cmd.Short)
		}
		if isTopic(cmd) {
			continue
		}
		if len(cmd.Long) <= len(cmd.Short) {
			t.Errorf("%s has no text: %q", path, cmd.Long)
		}
		for line := range strings.Lines(cmd.Example + "\n") {
			if line != "\n" && (!strings.HasPrefix(line, "  ") || !strings.Contains(line, "osp ")) {
				t.Errorf("%s has an example %q", path, line)
			}
		}
		if !strings.Contains(cmd.Example, path) {
			t.Errorf("%s has no example of itself: %q", path, cmd.Example)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); name == "string" || name == "stringArray" || name == "duration" {
				t.Errorf("%s: the value of --%s has no name; put it in backquotes", path, f.Name)
			}
		})
	}
}

func TestReflow(t *testing.T) {
	const text = "one two three four\nfive six.\n\n  as it is   here\n  and here\nseven"
	const want = "one two\nthree four\nfive six.\n\n  as it is   here\n  and here\nseven\n"
	if got := reflow(text, 10); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
