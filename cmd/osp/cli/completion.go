package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/cmd/osp/profile"
	"github.com/osproxy/osproxy/protocol"
)

// newCompletion prints what makes a shell complete osp's command lines. It
// stands for cobra's, which has a verb for each shell.
func newCompletion(root *cobra.Command) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash | zsh | fish | powershell",
		Short: "Print what makes a shell complete osp's commands",
		Long: "Print what makes a shell complete osp's commands: verbs, flags and their words, profiles, " +
			"transfers and files. For the shell that runs:\n\n" +
			"    bash        source <(osp completion bash)\n" +
			"    zsh         source <(osp completion zsh)\n" +
			"    fish        osp completion fish | source\n" +
			"    powershell  osp completion powershell | Out-String | Invoke-Expression\n\n" +
			"For every one to come, write it where the shell looks:\n\n" +
			"    bash        ~/.local/share/bash-completion/completions/osp\n" +
			"    zsh         _osp in a folder of $fpath\n" +
			"    fish        ~/.config/fish/completions/osp.fish\n" +
			"    powershell  the file that $PROFILE names",
		Example:     "  osp completion bash >~/.local/share/bash-completion/completions/osp",
		Annotations: map[string]string{printsObjects: "yes"},
		ValidArgs:   shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usagef("say for which shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		},
	}
}

// addCompletions tells the shell what may come next, for each verb below cmd.
// What is a file is left to the shell; uids are not completed, since a daemon
// may have millions.
func addCompletions(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = completeArguments(cmd.Use)
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { addFlagCompletion(cmd, f) })
	cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { addFlagCompletion(cmd, f) })
	for _, sub := range cmd.Commands() {
		addCompletions(sub)
	}
}

// completeArguments completes what the usage of a verb names; nil leaves it to
// the shell, which completes files.
func completeArguments(use string) cobra.CompletionFunc {
	_, arguments, _ := strings.Cut(use, " ")
	switch {
	case strings.Contains(arguments, "TRANSFER"):
		return completeTransfers
	case strings.Contains(arguments, "NAME"):
		return completeProfiles
	case strings.HasPrefix(arguments, "KIND"):
		return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return wordsOf(protocol.JobKinds()), cobra.ShellCompDirectiveNoFileComp
		}
	case strings.HasPrefix(arguments, "UID [PATH]"):
		return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		}
	case strings.Contains(arguments, "FILE"), strings.Contains(arguments, "DIR"):
		return nil
	}
	return cobra.NoFileCompletions
}

// wordsOf are the words of a list as completions.
func wordsOf[T ~string](list []T) (found []cobra.Completion) {
	for _, word := range list {
		found = append(found, cobra.Completion(word))
	}
	return found
}

// addFlagCompletion completes the value of a flag that takes one: a word of its
// list, a profile, a file where the flag names one, else nothing.
func addFlagCompletion(cmd *cobra.Command, f *pflag.Flag) {
	known := map[string][]cobra.Completion{
		"progress":  {progressAuto, progressBar, progressPlain, progressNone},
		"bwlimit":   {rateOff},
		"if-exists": {string(transfer.ExistsFail), string(transfer.ExistsSkip), string(transfer.ExistsOverwrite)},
		"state":     wordsOf(protocol.JobStates()),
		"kind":      wordsOf(protocol.JobKinds()),
		"events":    wordsOf(protocol.EventKinds()),
		"algo":      {string(transfer.AlgorithmDigest), string(transfer.AlgorithmSHA256), string(transfer.AlgorithmMD5)},
	}
	complete := cobra.NoFileCompletions
	placeholder, _ := pflag.UnquoteUsage(f)
	switch {
	case f.NoOptDefVal != "", placeholder == "FILE", placeholder == "PATH":
		return
	case f.Name == "profile":
		complete = completeProfiles
	case known[f.Name] != nil:
		complete = cobra.FixedCompletions(known[f.Name], cobra.ShellCompDirectiveNoFileComp)
	}
	if err := cmd.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
		panic(err) // the flag is there, and this is its only completion
	}
}

// completeProfiles are the names of the profiles. A file of them that cannot be
// read is told of by the verb that needs it.
func completeProfiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cfg, err := profile.Load(profile.DefaultPath())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(cfg.Profiles)), cobra.ShellCompDirectiveNoFileComp
}

// completeTransfers are the transfers of this machine, newest first; a verb that
// also takes a path is given files besides.
func completeTransfers(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	if strings.Contains(cmd.Use, "PATH") {
		directive = cobra.ShellCompDirectiveDefault
		if len(args) > 0 {
			return nil, directive
		}
	}
	all, _, err := transfer.PeekState("").List()
	if err != nil {
		return nil, directive
	}
	var found []cobra.Completion
	for _, t := range all {
		found = append(found, cobra.CompletionWithDesc(string(t.ID), string(t.Kind)+" "+clean(t.Path)))
	}
	return found, directive | cobra.ShellCompDirectiveKeepOrder
}
