package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/cmd/osp/selection"
)

// selectText is the help on them.
const selectText = "With -r the files in folders are put too: of photos the file photos/2026/a.jpg is stored\n" +
	"under that name. Symbolic links and what is no regular file are skipped with a warning.\n" +
	"An argument that no file has as its name is a pattern: *, ?, [a-z], {a,b}, and ** for any\n" +
	"folders between.\n\n" +
	"Patterns of --include and --exclude are those of .gitignore, with {a,b} besides: one\n" +
	"without a slash matches a name anywhere, one with a slash where the folder begins, one\n" +
	"that ends in a slash folders alone. The last pattern that matches decides; a file that\n" +
	"none matches is put, unless the first is an --include. A folder that a pattern with a\n" +
	"slash at its end, or a line of --exclude-from, leaves out is not looked into."

// selectOptions are the flags of put that say which files are meant.
type selectOptions struct {
	recursive bool
	filesFrom string
	null      bool
	rules     rules
}

func (o *selectOptions) add(f *pflag.FlagSet) {
	f.BoolVarP(&o.recursive, "recursive", "r", false, "put the files in folders, under names that begin with the folder's")
	f.Var(o.rules.flag(ruleInclude), "include", "`PATTERN` of files to take although one before it says exclude (repeat for more)")
	f.Var(o.rules.flag(ruleExclude), "exclude", "`PATTERN` of files and folders to leave out (repeat for more)")
	f.Var(o.rules.flag(ruleExcludeFrom), "exclude-from", "`FILE` of patterns to leave out, as in .gitignore (repeat for more)")
	f.StringVar(&o.filesFrom, "files-from", "", "`FILE` with more files to put, one a line; - is standard input")
	f.BoolVarP(&o.null, "null", "0", false, "the entries of --files-from end with a NUL, not with a line")
}

// selection makes what is asked for. close is to be called once it was gone
// through.
func (o *selectOptions) selection(s *session, args []string) (sel selection.Selection, closed func(), err error) {
	sel = selection.Selection{Args: args, Recursive: o.recursive, Null: o.null, ListName: "--files-from " + o.filesFrom, Warn: s.warn}
	if o.null && o.filesFrom == "" {
		return sel, nil, usagef("-0 says how a list of files is written: it needs --files-from")
	}
	if sel.Filter, err = o.rules.filter(); err != nil {
		return sel, nil, err
	}
	switch o.filesFrom {
	case "":
		return sel, func() {}, nil
	case standardInput:
		sel.List = s.in
		return sel, func() {}, nil
	}
	f, err := os.Open(o.filesFrom)
	if err != nil {
		return sel, nil, usagef("the list of files cannot be read: %v", err)
	}
	sel.List = f
	return sel, func() { f.Close() }, nil
}

// ruleKind is which of the flags a rule came with.
type ruleKind string

const (
	ruleInclude     ruleKind = "include"
	ruleExclude     ruleKind = "exclude"
	ruleExcludeFrom ruleKind = "exclude-from"
)

// rules are the patterns in the order given, over all flags that give some:
// the last one that matches decides. Those from the environment come first, so
// that what is typed wins.
type rules struct{ environment, typed []givenRule }

type givenRule struct {
	kind ruleKind
	text string
}

// filter reads the patterns.
func (r *rules) filter() (f selection.Filter, err error) {
	for _, given := range slices.Concat(r.environment, r.typed) {
		switch given.kind {
		case ruleInclude:
			err = f.Include(given.text)
		case ruleExclude:
			err = f.Exclude(given.text)
		case ruleExcludeFrom:
			err = addFile(&f, given.text)
		}
		if err != nil {
			return f, usagef("--%s: %v", given.kind, err)
		}
	}
	return f, nil
}

// addFile adds the patterns in a file.
func addFile(f *selection.Filter, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := f.AddLines(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (r *rules) flag(kind ruleKind) *ruleFlag { return &ruleFlag{rules: r, kind: kind} }

// ruleFlag is one of the flags that add to rules.
type ruleFlag struct {
	rules *rules
	kind  ruleKind
}

// Set is pflag.Value: each one adds.
func (f *ruleFlag) Set(text string) error {
	f.rules.typed = append(f.rules.typed, givenRule{f.kind, text})
	return nil
}

// SetFromEnvironment takes a value of the flag's variable, one rule a line.
func (f *ruleFlag) SetFromEnvironment(value string) {
	for text := range strings.SplitSeq(strings.TrimRight(value, "\n"), "\n") {
		f.rules.environment = append(f.rules.environment, givenRule{f.kind, text})
	}
}

// String is pflag.Value: there is no default to show.
func (f *ruleFlag) String() string { return "" }

// Type is pflag.Value.
func (f *ruleFlag) Type() string { return "pattern" }

// check refuses arguments that mean no file, and those that mean one twice.
func (o *selectOptions) check(cmd *cobra.Command, args []string) error {
	if err := oneStandardInput(append(args[:len(args):len(args)], o.filesFrom)); err != nil {
		return err
	}
	if o.filesFrom != "" {
		return nil
	}
	return atLeastOne("FILE")(cmd, args)
}
