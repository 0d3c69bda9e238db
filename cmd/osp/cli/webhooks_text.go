package cli

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/osproxy/osproxy/protocol"
)

// webhookTable prints webhooks in columns, without a last newline; only their
// ids with -q.
func (s *session) webhookTable(all []protocol.Webhook) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !s.opts.quiet {
		fmt.Fprintln(w, "WEBHOOK\tOWNER\tEVENTS\tDELIVERED\tPENDING\tDEAD\tLAST FAILURE\tURL")
	}
	for _, h := range all {
		if s.opts.quiet {
			fmt.Fprintln(w, h.ID)
			continue
		}
		owner := clean(string(h.Owner))
		if h.Everything {
			owner = "(all)"
		}
		failure := "-"
		if h.FailedAt != nil {
			failure = h.FailedAt.String() + " " + clean(valueOr(h.Error, ""))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", h.ID, owner, kindsText(h), h.Delivered, h.Pending, h.Dead, failure, clean(h.URL))
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

// kindsText are the events of a webhook, "all" where it gets every one there is.
func kindsText(h protocol.Webhook) string {
	words := make([]string, len(h.Events))
	missing := false
	for i, kind := range h.Events {
		words[i] = clean(string(kind))
	}
	for _, kind := range protocol.EventKinds() {
		missing = missing || !slices.Contains(h.Events, kind)
	}
	if !missing {
		return "all"
	}
	return strings.Join(words, ",")
}
