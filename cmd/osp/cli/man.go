package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/protocol"
)

// newMan writes the manual. Packages do that, so people need not see it.
func newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:         "man DIR",
		Short:       "Write the manual's pages into a folder",
		Long:        "Write the manual into a folder, which is made where it is missing: a page for each verb and each topic.",
		Example:     "  osp man ~/.local/share/man/man1",
		Hidden:      true,
		Annotations: map[string]string{printsObjects: "yes"},
		Args: func(cmd *cobra.Command, args []string) error {
			if err := atLeastOne("DIR")(cmd, args); err != nil {
				return err
			}
			return atMost(1)(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writeManual(root, args[0]); err != nil {
				return &protocol.Error{Kind: protocol.KindLocalIO, Message: "the manual could not be written", Err: err}
			}
			return nil
		},
	}
}

func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range manual(root, buildVersion()) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manual is all pages by the names of their files. The same build gives the
// same pages.
func manual(root *cobra.Command, b build) map[string]string {
	pages := map[string]string{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd != root && !cmd.IsAvailableCommand() && !cmd.IsAdditionalHelpTopicCommand() {
			return
		}
		pages[pageName(cmd)+".1"] = page(cmd, b)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return pages
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// page is the manual page of a verb or a topic, in the man macros of roff.
func page(cmd *cobra.Command, b build) string {
	var p roff
	date := ""
	if b.Date != nil {
		if t, err := time.Parse(time.RFC3339, *b.Date); err == nil {
			date = t.UTC().Format(time.DateOnly)
		}
	}
	p.macro("TH", strings.ToUpper(pageName(cmd)), "1", date, "osp "+b.Version, "osp")
	p.macro("SH", "NAME")
	p.line(pageName(cmd) + " - " + cmd.Short)
	if cmd.IsAdditionalHelpTopicCommand() {
		p.macro("SH", "DESCRIPTION")
		p.verbatim(topicText(cmd), "")
		p.seeAlso("osp")
		return p.String()
	}
	p.macro("SH", "SYNOPSIS")
	p.line(strings.TrimSpace(strings.TrimPrefix(usageLines(cmd), "Usage:\n")))
	p.macro("SH", "DESCRIPTION")
	p.text(cmp.Or(cmd.Long, cmd.Short))
	p.verbs(cmd)
	p.options(cmd.LocalFlags())
	if cmd.HasExample() {
		p.macro("SH", "EXAMPLES")
		p.verbatim(strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"), "4")
	}
	related := []string{"osp-exit-codes", "osp-environment", "osp-formats"}
	if cmd.HasParent() {
		related = append([]string{pageName(cmd.Parent())}, related...)
	}
	p.seeAlso(related...)
	return p.String()
}

// topicText is what a topic prints.
func topicText(topic *cobra.Command) string {
	var b strings.Builder
	out := topic.OutOrStdout()
	topic.SetOut(&b)
	topic.HelpFunc()(topic, nil)
	topic.SetOut(out)
	return b.String()
}

// roff is a page in the making.
type roff struct{ strings.Builder }

// macro writes a request with its arguments.
func (r *roff) macro(name string, args ...string) {
	r.WriteString("." + name)
	for _, arg := range args {
		r.WriteString(` "` + strings.ReplaceAll(escapeRoff(arg), `"`, `\(dq`) + `"`)
	}
	r.WriteString("\n")
}

// line writes a line of running text.
func (r *roff) line(text string) {
	text = escapeRoff(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text // no request
	}
	r.WriteString(text + "\n")
}

// text writes paragraphs; lines that begin with spaces stay as they are.
func (r *roff) text(text string) {
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			r.macro("PP")
		}
		if strings.HasPrefix(paragraph, " ") {
			r.verbatim(paragraph, "")
			continue
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			r.line(line)
		}
	}
}

// verbatim writes text whose lines are not joined, indented by so much.
func (r *roff) verbatim(text, indent string) {
	if indent != "" {
		r.macro("RS", indent)
	}
	r.macro("nf")
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		r.line(line)
	}
	r.macro("fi")
	if indent != "" {
		r.macro("RE")
	}
}

// verbs writes what is below a command, each with its page.
func (r *roff) verbs(cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	r.macro("SH", "VERBS")
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			r.macro("TP")
			r.WriteString(`\fB` + escapeRoff(pageName(sub)) + "\\fR(1)\n")
			r.line(sub.Short)
		}
	}
}

func (r *roff) options(flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.macro("SH", "OPTIONS")
	flags.VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		r.macro("TP")
		if f.Shorthand != "" {
			r.WriteString(`\fB` + escapeRoff("-"+f.Shorthand) + `\fR, `)
		}
		r.WriteString(`\fB` + escapeRoff("--"+f.Name) + `\fR`)
		if value != "" && f.NoOptDefVal == "" {
			r.WriteString(` \fI` + escapeRoff(value) + `\fR`)
		}
		r.WriteString("\n")
		if f.NoOptDefVal == "" && f.DefValue != "" && f.DefValue != "[]" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		r.line(usage)
	})
}

func (r *roff) seeAlso(pages ...string) {
	r.macro("SH", "SEE ALSO")
	for i, name := range pages {
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		r.WriteString(`\fB` + escapeRoff(name) + `\fR(1)` + end + "\n")
	}
}

// escapeRoff makes text that means itself. A dash stays one that can be typed.
func escapeRoff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
}
