package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/osproxy/osproxy/client/transfer"
)

// addDryRun adds the flag to a verb.
func (s *session) addDryRun(f *pflag.FlagSet) {
	f.BoolVarP(&s.dryRun, "dry-run", "n", false, "say what would be done, and do nothing")
}

// wouldText is the line of an item that was only looked at.
func (s *session) wouldText(o outcome) string {
	if s.opts.quiet && o.op == opRemove {
		return o.UID.String()
	} else if s.opts.quiet {
		return clean(o.Path)
	}
	switch o.op {
	case opRemove:
		return fmt.Sprintf("would delete %s: %s, %s", o.UID, clean(o.Name), bytesText(o.Size))
	case opGet:
		return wouldGetText(o)
	}
	return wouldPutText(o)
}

func wouldGetText(o outcome) string {
	path := clean(o.Path)
	if path == standardInput {
		path = "standard output"
	}
	switch o.Would {
	case transfer.AlreadyComplete:
		return fmt.Sprintf("would leave %s: it is complete", path)
	case transfer.Skipped:
		return fmt.Sprintf("would leave %s: it exists", path)
	case transfer.Resumed:
		return fmt.Sprintf("would go on getting %s: %s to %s", o.UID, bytesText(o.Size), path)
	}
	return fmt.Sprintf("would get %s: %s to %s", o.UID, bytesText(o.Size), path)
}

func wouldPutText(o outcome) string {
	text := fmt.Sprintf("%s as %s: %s", clean(o.Path), clean(o.Name), bytesText(o.Size))
	switch {
	case o.Path == standardInput:
		return fmt.Sprintf("would put standard input as %s", clean(o.Name))
	case o.Would == transfer.Instant:
		return fmt.Sprintf("would put %s, without sending it if the daemon takes the claim", text)
	case o.Would == transfer.Resumed:
		return fmt.Sprintf("would go on putting %s, to upload %s", text, o.UID)
	case o.Would == transfer.Restarted:
		return fmt.Sprintf("would put %s, anew: the upload that was begun is of another size, or gone", text)
	}
	return "would put " + text
}

// instead is what a verb runs for an item: would, which only looks, where
// --dry-run is given.
func (s *session) instead(would, run func(context.Context) (transfer.Result, error)) func(context.Context) (transfer.Result, error) {
	if s.dryRun {
		return would
	}
	return run
}
