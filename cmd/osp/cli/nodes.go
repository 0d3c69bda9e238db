package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/protocol"
)

func newNodes(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes of a cluster",
		Long: "List the daemons that work on one database, and those that have: where the others reach\n" +
			"each, what it runs, since when and until when it is taken to live, how many requests it is\n" +
			"at work on, and how much lies on its own disks, which cannot be read without it. A daemon\n" +
			"on SQLite is alone, and lists none. With -q the ids alone, with --json one Node a line.\n\n" +
			"Exit: 0.",
		Example:     "  osp admin nodes",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			list, err := c.Nodes(cmd.Context())
			if err != nil {
				return stopped(cmd.Context(), err)
			}
			switch {
			case s.opts.json:
				for _, n := range list.Nodes {
					s.con.result(marshal(n))
				}
			case len(list.Nodes) > 0:
				s.con.result([]byte(s.nodeTable(list.Nodes)))
			}
			return nil
		},
	}
}

// nodeTable prints nodes in columns, without a last newline; only their ids with
// -q.
func (s *session) nodeTable(all []protocol.Node) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !s.opts.quiet {
		fmt.Fprintln(w, "NODE\tADDRESS\tVERSION\tWORKER\tSTATE\tSINCE\tLEASE UNTIL\tLOAD\tHOLDS ALONE")
	}
	for _, n := range all {
		if s.opts.quiet {
			fmt.Fprintln(w, clean(n.ID))
			continue
		}
		held := "-"
		if n.HeldBytes != nil {
			held = bytesText(*n.HeldBytes)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\n", clean(n.ID), clean(valueOr(n.Address, "-")), clean(n.Version), n.Worker, nodeState(n),
			secondText(n.Since), secondText(n.LeaseUntil), n.Load, held)
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

// secondText is a time in a table.
func secondText(t protocol.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// nodeState says in a word how a node is.
func nodeState(n protocol.Node) string {
	switch {
	case !n.Living:
		return "gone"
	case n.Draining:
		return "draining"
	}
	return "living"
}
