package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/osproxy/osproxy/protocol"
)

// Exit codes that are not the consequence of one kind of error (WIRE 12). The
// others are column Exit of protocol.Kinds.
const (
	exitDone        = 0
	exitOther       = 1
	exitUsage       = 2
	exitPartial     = 3
	exitNotFound    = 4
	exitNothing     = 10
	exitTimeout     = 124
	exitInterrupted = 130
	exitTerminated  = 143
)

// meaning is one row of `osp help exit-codes`.
type meaning struct {
	code int
	text string
}

// meanings returns every exit code osp can end with, in order.
func meanings() []meaning {
	return []meaning{
		{exitDone, "all done (also: was there already, nothing to resume)"},
		{exitOther, "an error that is none of the others"},
		{exitUsage, "wrong usage: nothing was done"},
		{exitPartial, "partial: some items are done, or items failed for different reasons"},
		{exitNotFound, "not found: a uid, a file or a transfer"},
		{5, "temporary: the network or the daemon; state is saved, resume or run again"},
		{6, "not allowed"},
		{7, "integrity: bytes are not what they should be"},
		{8, "the local file changed while it was read; nothing was committed"},
		{9, "conflict: the target exists, or something else is in the way"},
		{exitNothing, "nothing to do (only with --fail-if-empty)"},
		{11, "limits: too large, a quota, a full disk on either side"},
		{exitTimeout, "--timeout was reached; state is saved"},
		{exitInterrupted, "interrupted (SIGINT); state is saved"},
		{exitTerminated, "terminated (SIGTERM); state is saved"},
	}
}

// exitOf is the exit code of one failed item.
func exitOf(err error) int {
	if err == nil {
		return exitDone
	}
	if code := protocol.KindOf(err).Row().Exit; code != exitDone {
		return code
	}
	return exitOther
}

// stops are the codes of what ends all items at once.
func stops() []int { return []int{exitInterrupted, exitTerminated, exitTimeout} }

// fold makes one exit code of those of all items: 0 when all are done, the
// reason of a stop when there was one, the common code when all failed alike,
// else partial.
func fold(codes []int) int {
	for _, stop := range stops() {
		if slices.Contains(codes, stop) {
			return stop
		}
	}
	if len(codes) == 0 {
		return exitDone
	}
	for _, c := range codes[1:] {
		if c != codes[0] {
			return exitPartial
		}
	}
	return codes[0]
}

// exitCodesText is the topic `osp help exit-codes`, made from the tables.
func exitCodesText() string {
	words := map[int][]string{}
	for _, row := range protocol.Kinds() {
		words[row.Exit] = append(words[row.Exit], string(row.Kind))
	}
	var b strings.Builder
	b.WriteString("Exit codes of osp. A code that is not listed means failure.\n" +
		"With --json, error.code is one of the words below its exit code.\n\n")
	for _, m := range meanings() {
		fmt.Fprintf(&b, "%4d  %s\n", m.code, m.text)
		if w := words[m.code]; m.code != exitDone && len(w) > 0 {
			b.WriteString(wrap(strings.Join(w, " "), 10, 78))
		}
	}
	b.WriteString("\nOf several items: 0 when all are done, their code when all failed alike, else 3.\n")
	return b.String()
}

// wrap breaks text at spaces into lines of at most width, indented.
func wrap(text string, indent, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			b.WriteString(strings.Repeat(" ", indent))
			column = indent
		case column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String() + "\n"
}
