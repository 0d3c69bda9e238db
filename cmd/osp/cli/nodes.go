package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/protocol"
)

func newNodes(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes of a cluster",
		Long: "List the daemons that work on one database, and those that have: where the others reach\n" +
			"each, what it runs, since when and until when it is taken to live, how many requests it is\n" +
			"at work on, how much lies on its own disks, which cannot be read without it, and how many\n" +
			"uploads are open there. One that is unreachable does not answer the daemon that is asked,\n" +
			"though its lease lasts: it has just died, or cannot be reached from there. One that is gone\n" +
			"left, or died a while ago. A daemon on SQLite is alone, and lists none. With -q the ids\n" +
			"alone, with --json one Node a line.\n\n" +
			"Exit: 0.",
		Example:     "  osp admin nodes\n  osp admin nodes drain 0123456789abcdef0123456789abcdef",
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
	cmd.AddCommand(newNodesDrain(s), newNodesUndrain(s))
	return cmd
}

// nodeTable prints nodes in columns, without a last newline; only their ids with
// -q.
func (s *session) nodeTable(all []protocol.Node) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !s.opts.quiet {
		fmt.Fprintln(w, "NODE\tADDRESS\tVERSION\tWORKER\tSTATE\tSINCE\tLEASE UNTIL\tLOAD\tHOLDS ALONE\tOPEN UPLOADS")
	}
	for _, n := range all {
		if s.opts.quiet {
			fmt.Fprintln(w, clean(n.ID))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\t%d\n", clean(n.ID), clean(valueOr(n.Address, "-")), clean(n.Version), n.Worker, nodeState(n),
			secondText(n.Since), secondText(n.LeaseUntil), n.Load, heldText(n), n.OpenUploads)
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

// secondText is a time in a table.
func secondText(t protocol.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// heldText is how much lies on a node's own disks.
func heldText(n protocol.Node) string {
	if n.HeldBytes == nil {
		return "-"
	}
	return bytesText(*n.HeldBytes)
}

// nodeState says in few words how a node is.
func nodeState(n protocol.Node) string {
	state := "living"
	switch {
	case !n.Living:
		state = "gone"
	case n.Reachable != nil && !*n.Reachable:
		state = "unreachable"
	case n.Stopping:
		state = "stopping"
	case n.Draining:
		return "draining"
	}
	if n.Draining {
		state += ", draining"
	}
	return state
}
