package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newHelp is `osp help`: unlike cobra's, it fails for what it knows nothing of.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:         "help [VERB | TOPIC]",
		Short:       "Print the help of a verb, or a topic",
		Long:        "Print what a verb does and the flags it has, or a topic: exit-codes, environment, formats, batch.",
		Example:     "  osp help put\n  osp help transfers list\n  osp help exit-codes",
		Annotations: map[string]string{printsObjects: "yes"},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completeHelp(root, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				e := usagef("there is no help about %q", strings.Join(args, " "))
				e.Hint = "osp help"
				return e
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// completeHelp are the verbs, and topics, that help can be had about.
func completeHelp(root *cobra.Command, args []string) []cobra.Completion {
	cmd, rest, err := root.Find(args)
	if err != nil || len(rest) > 0 {
		return nil
	}
	var found []cobra.Completion
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			found = append(found, cobra.CompletionWithDesc(sub.Name(), sub.Short))
		}
	}
	return found
}

// topics are what `osp help` knows besides verbs. Each is made from the tables
// that hold, when it is asked for.
func topics(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, topic := range []struct {
		name, short string
		text        func() string
	}{
		{"exit-codes", "Exit codes of osp, for scripts", exitCodesText},
		{"environment", "Environment variables osp reads", func() string { return environmentText(root) }},
		{"formats", "What osp prints with --json", formatsText},
		{"batch", "The lines of a batch for osp run, and its journal", batchText},
	} {
		cmd := &cobra.Command{Use: topic.name, Short: topic.short}
		cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), topic.text()) })
		all = append(all, cmd)
	}
	return all
}

func environmentText(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(reflow("Every flag can be given as a variable. A flag on the command line wins; an empty "+
		"variable counts as not set. Flags that may be repeated take one value a line. "+
		"A variable wins over the profile (osp profile show --effective says what holds).\n", textWidth))
	list := func(flags *pflag.FlagSet) {
		flags.VisitAll(func(f *pflag.Flag) {
			if !notVariable(f.Name) {
				fmt.Fprintf(&b, "  %-24s --%s\n", variable(f.Name), f.Name)
			}
		})
	}
	b.WriteString("All verbs\n")
	list(root.PersistentFlags())
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd != root && flagCount(cmd) > 0 {
			fmt.Fprintf(&b, "\n%s\n", cmd.CommandPath())
			list(cmd.LocalNonPersistentFlags())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	b.WriteString("\nAlso read\n")
	for _, v := range [][2]string{
		{"OSP_TOKEN", "token to send; there is no flag for it, as command lines can be read by others"},
		{"OSP_TOKEN_FILE", "file with the token, readable by its owner only"},
		{"OSP_HOME", "folder of osp's own files, instead of the system's places"},
		{"TRACEPARENT", "trace that requests are part of (W3C Trace Context); else each run begins one"},
		{"CI, TERM=dumb", "no bar is drawn"},
		{"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "proxy to reach the daemon through"},
	} {
		text := strings.TrimLeft(wrap(v[1], 27, textWidth), " ")
		if len(v[0]) > 24 {
			text = "\n" + strings.Repeat(" ", 27) + text
		}
		fmt.Fprintf(&b, "  %-25s%s", v[0], text)
	}
	b.WriteString("\nosp prints no colours, whatever NO_COLOR says.\n")
	return b.String()
}

func flagCount(cmd *cobra.Command) int {
	n := 0
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !notVariable(f.Name) {
			n++
		}
	})
	return n
}
