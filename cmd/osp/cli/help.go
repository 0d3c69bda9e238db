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
		Annotations: map[string]string{printsObjects: "yes"},
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

// newExitCodesTopic is `osp help exit-codes`.
func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "Exit codes of osp, for scripts", Long: exitCodesText()}
}

// newEnvironmentTopic is `osp help environment`, made from the flags of all
// verbs when it is asked for.
func newEnvironmentTopic(root *cobra.Command) *cobra.Command {
	topic := &cobra.Command{Use: "environment", Short: "Environment variables osp reads"}
	topic.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprint(cmd.OutOrStdout(), environmentText(root))
	})
	return topic
}

func environmentText(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Every flag can be given as a variable. A flag on the command line wins; an empty\n" +
		"variable counts as not set. Flags that may be repeated take one value a line.\n" +
		"A variable wins over the profile (osp profile show --effective says what holds).\n\n")
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
		if cmd.Name() == "completion" {
			return
		}
		if cmd != root && flagCount(cmd) > 0 {
			fmt.Fprintf(&b, "\n%s\n", cmd.CommandPath())
			list(cmd.LocalNonPersistentFlags())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	b.WriteString("\nAlso read\n" +
		"  OSP_TOKEN                token to send; there is no flag for it, as command lines can be read by others\n" +
		"  OSP_TOKEN_FILE           file with the token, readable by its owner only\n" +
		"  OSP_HOME                 folder of osp's own files, instead of the system's places\n" +
		"  CI, TERM=dumb            no bar is drawn\n" +
		"  HTTPS_PROXY, HTTP_PROXY, NO_PROXY\n" +
		"                           proxy to reach the daemon through\n" +
		"osp prints no colours, whatever NO_COLOR says.\n")
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
