package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// textWidth is how wide help is: it is read on terminals of 80 columns.
const textWidth = 80

// helpText is the help of a command: what it does, how it is typed, examples,
// and its flags. Those of all verbs are shown at the root alone.
func helpText(cmd *cobra.Command) string {
	sections := []string{reflow(cmp.Or(cmd.Long, cmd.Short), textWidth), usageLines(cmd)}
	if cmd.HasExample() {
		sections = append(sections, "Examples:\n"+cmd.Example+"\n")
	}
	sections = append(sections, subcommandLines(cmd)...)
	if flags := cmd.LocalFlags(); flags.HasAvailableFlags() {
		title := "Flags:\n"
		if !cmd.HasParent() {
			title = "Flags of every verb:\n"
		}
		sections = append(sections, title+flags.FlagUsagesWrapped(textWidth))
	}
	if cmd.HasParent() {
		return strings.Join(append(sections, "Flags of every verb: osp --help\n"), "\n")
	}
	sections = append(sections, topicLines(cmd), "Help of a verb or a topic: osp help NAME\n")
	return strings.Join(sections, "\n")
}

// usageLines say how the command is typed.
func usageLines(cmd *cobra.Command) string {
	line := cmd.CommandPath() + " VERB [flags]"
	if !cmd.HasSubCommands() {
		line = cmd.UseLine()
	}
	return "Usage:\n  " + line + "\n"
}

// subcommandLines are the commands below cmd, each group a section.
func subcommandLines(cmd *cobra.Command) []string {
	var sections []string
	add := func(title, group string) {
		var b strings.Builder
		for _, sub := range cmd.Commands() {
			if sub.GroupID == group && sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-11s %s\n", sub.Name(), sub.Short)
			}
		}
		if b.Len() > 0 {
			sections = append(sections, title+"\n"+b.String())
		}
	}
	for _, group := range cmd.Groups() {
		add(group.Title, group.ID)
	}
	if len(sections) > 0 {
		add("Besides:", "")
	} else {
		add("Verbs:", "")
	}
	return sections
}

func topicLines(root *cobra.Command) string {
	text := "Topics:\n"
	for _, topic := range root.Commands() {
		if topic.IsAdditionalHelpTopicCommand() {
			text += fmt.Sprintf("  %-11s %s\n", topic.Name(), topic.Short)
		}
	}
	return text
}

// reflow breaks the paragraphs of text into lines of at most width. Lines that
// begin with a space are left as they are.
func reflow(text string, width int) string {
	var b strings.Builder
	paragraph := ""
	end := func() {
		if paragraph != "" {
			b.WriteString(wrap(paragraph, 0, width))
			paragraph = ""
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			end()
			b.WriteString(line + "\n")
			continue
		}
		paragraph += " " + line
	}
	end()
	return b.String()
}
