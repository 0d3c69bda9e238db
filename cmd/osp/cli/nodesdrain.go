package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/protocol"
)

func newNodesDrain(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "drain NODE",
		Short: "Have a node of a cluster take nothing new",
		Long: "Have a node of a cluster take nothing new: uploads that begin and files put there go to\n" +
			"other nodes, and so do jobs that are not about its own disks. It goes on to answer, to\n" +
			"serve what lies on its disks, and with the uploads that are open there. That lasts, also\n" +
			"when it is started again, until it is undrained. NODE is an id as \"osp admin nodes\" lists\n" +
			"it. To print is what still needs the node; once nothing does it can be stopped, and nobody\n" +
			"misses it. The last node that takes what is new is not drained (exit 9).\n\n" +
			"A node that is stopped with SIGTERM needs no drain before: it ends what it has begun.\n\n" +
			"Exit: 0, 4 there is no such node, 9 it is the last one.",
		Example:     "  osp admin nodes drain 0123456789abcdef0123456789abcdef",
		Args:        exactlyOne("NODE"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.drainNode(cmd.Context(), args[0], true)
		},
	}
}

func newNodesUndrain(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "undrain NODE",
		Short:       "Have a drained node take what is new again",
		Long:        "Have a node that was drained take what is new again.\n\nExit: 0, 4 there is no such node.",
		Example:     "  osp admin nodes undrain 0123456789abcdef0123456789abcdef",
		Args:        exactlyOne("NODE"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.drainNode(cmd.Context(), args[0], false)
		},
	}
}

func (s *session) drainNode(ctx context.Context, id string, drain bool) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	n, err := c.DrainNode(ctx, id, drain)
	if err != nil {
		return stopped(ctx, err)
	}
	switch {
	case s.opts.json:
		s.con.result(marshal(n))
	case s.opts.quiet:
		s.con.result([]byte(clean(n.ID)))
	default:
		s.con.result([]byte("node " + clean(n.ID) + " " + drainText(n)))
	}
	return nil
}

// drainText says what a node is needed for.
func drainText(n protocol.Node) string {
	switch {
	case !n.Draining:
		return "takes what is new"
	case n.HeldBytes == nil:
		return fmt.Sprintf("takes nothing new; %d uploads are open there, and how much it alone holds could not be counted in time", n.OpenUploads)
	case *n.HeldBytes == 0 && n.OpenUploads == 0:
		return "takes nothing new; it alone holds nothing, and no upload is open there: it can be stopped"
	}
	return fmt.Sprintf("takes nothing new; it alone holds %s, and %d uploads are open there: what lies there cannot be had while it is stopped",
		bytesText(*n.HeldBytes), n.OpenUploads)
}
