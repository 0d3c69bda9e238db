package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/protocol"
)

func newStores(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "stores",
		Short: "List the stores of a daemon, and how they are",
		Long: "List the stores of a daemon: of which type each is, whether it answers, and how much\n" +
			"lies there. New blobs go to the default one, unless it is closed: then what lies there is,\n" +
			"or was, migrated to another one, which takes them. What was counted may be a while old\n" +
			"where there is much. In a cluster each node has a disk of its own under the name of a local\n" +
			"store, and each has a row, with its node; that of a node that does not answer is\n" +
			"unreachable. With -q the names alone, with --json one Store a line.\n\n" +
			"Exit: 0 all answer, 5 not all do.",
		Example:     "  osp admin stores",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			list, err := c.Stores(cmd.Context())
			if err != nil {
				return stopped(cmd.Context(), err)
			}
			if s.opts.json {
				for _, st := range list.Stores {
					s.con.result(marshal(st))
				}
			} else {
				s.con.result([]byte(s.storeTable(list.Stores)))
			}
			return unreachable(list.Stores)
		},
	}
}

// unreachable says which stores do not answer.
func unreachable(all []protocol.Store) error {
	var why []string
	for _, st := range all {
		if !st.Reachable {
			why = append(why, "store "+clean(st.Name)+" is not reachable: "+clean(valueOr(st.Error, "no reason is known")))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindStoreUnavailable, Message: strings.Join(why, "; "),
		Hint: "The daemon's log says more, and docs/stores.md what a store needs; what lies in the others can be read."}
}

// storeTable prints stores in columns, without a last newline; only their names
// with -q.
func (s *session) storeTable(all []protocol.Store) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !s.opts.quiet {
		fmt.Fprintln(w, "STORE\tTYPE\tSTATE\tBLOBS\tBYTES\tNEW BLOBS\tNODE")
	}
	for _, st := range all {
		if s.opts.quiet {
			fmt.Fprintln(w, clean(st.Name))
			continue
		}
		state, blobs, bytes := "reachable", "-", "-"
		if !st.Reachable {
			state = "unreachable"
		}
		if st.Blobs != nil && st.Bytes != nil {
			blobs, bytes = fmt.Sprint(*st.Blobs), bytesText(*st.Bytes)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clean(st.Name), clean(st.Type), state, blobs, bytes, newBlobs(st), clean(valueOr(st.Node, "-")))
	}
	_ = w.Flush() // into memory
	return strings.TrimRight(b.String(), "\n")
}

// newBlobs says whether a store takes any.
func newBlobs(st protocol.Store) string {
	switch {
	case st.ClosedTo != nil:
		return "go to " + clean(*st.ClosedTo)
	case st.Default:
		return "here"
	}
	return "-"
}
