package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
)

func newTransfers(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "transfers",
		Short:   "Look at the transfers that can be resumed",
		Long:    "Look at the transfers that this machine remembers, of every server, and forget old ones.",
		Example: "  osp transfers list\n  osp transfers prune --older-than 24h",
		Args:    noVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newTransfersList(s), newTransfersShow(s), newTransfersPrune(s))
	return cmd
}

func newTransfersList(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "list",
		Short:       "List unfinished transfers, newest first",
		Long:        "List unfinished transfers, newest first; with -q their ids alone, with --json one\nobject a line.",
		Example:     "  osp transfers list",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(*cobra.Command, []string) error {
			all, err := s.remembered()
			if err != nil {
				return err
			}
			if s.opts.json {
				for _, t := range all {
					s.con.result(marshal(t))
				}
			} else if len(all) > 0 {
				s.con.result([]byte(s.transferTable(all)))
			}
			return nil
		},
	}
}

// transferTable prints transfers in columns, without a last newline; only
// their ids with -q.
func (s *session) transferTable(all []transfer.Transfer) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !s.opts.quiet {
		fmt.Fprintln(w, "TRANSFER\tKIND\tUID\tSIZE\tUPDATED\tPATH")
	}
	for _, t := range all {
		if s.opts.quiet {
			fmt.Fprintln(w, t.ID)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, t.UID, bytesText(t.Size), t.Updated.Format(time.RFC3339), clean(t.Path))
	}
	_ = w.Flush() // into memory
	return strings.TrimSuffix(b.String(), "\n")
}

func newTransfersShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "show TRANSFER...",
		Short:       "Print all that is remembered of transfers",
		Long:        "Print all that is remembered of transfers: the upload or the part file, when it was last\nworked on, how that ended, and the command that continues it.",
		Example:     "  osp transfers show 01JD7Q6Z0000000000000000AB",
		Args:        atLeastOne("TRANSFER"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			state, err := transfer.OpenState("")
			if err != nil {
				return err
			}
			var codes []int
			for i, arg := range args {
				id, err := transfer.ParseID(arg)
				if err != nil {
					return err
				}
				t, err := state.Load(id)
				codes = append(codes, exitOf(err))
				switch {
				case err != nil:
					s.con.note(explain("transfers show", arg, err))
				case s.opts.json:
					s.con.result(marshal(t))
				default:
					if i > 0 {
						s.con.result(nil)
					}
					s.con.result([]byte(fields(transferFields(t))))
				}
			}
			s.code = fold(codes)
			return nil
		},
	}
}

// transferFields are the lines of a transfer for people.
func transferFields(t transfer.Transfer) [][2]string {
	lines := [][2]string{
		{"transfer", string(t.ID)},
		{"kind", string(t.Kind)},
		{"uid", t.UID.String()},
		{"path", t.Path},
		{"name", t.Name},
		{"size", fmt.Sprintf("%s (%d bytes)", bytesText(t.Size), t.Size)},
		{"server", t.Server},
		{"created", t.Created.String()},
		{"updated", t.Updated.String()},
		{"runs", fmt.Sprint(t.Attempts)},
	}
	if t.LastError != nil {
		lines = append(lines, [2]string{"last error", string(t.LastError.Code) + " at " + t.LastError.At.String()})
	}
	return append(lines, [2]string{"continue", t.Command() + " --server " + shellWord(t.Server)})
}

func newTransfersPrune(s *session) *cobra.Command {
	var olderThan time.Duration
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Forget transfers that nobody continued",
		Long: "Forget transfers that no run has touched for a week, and delete what unfinished\n" +
			"downloads had received. Uploads stay on the daemon until it gives them up.\n" +
			"The ids that were forgotten are printed.",
		Example: "  osp transfers prune\n  osp transfers prune --older-than 0s",
		Args:    atMost(0),
		RunE: func(*cobra.Command, []string) error {
			if olderThan < 0 {
				return usagef("--older-than must not be negative")
			}
			state, err := transfer.OpenState("")
			if err != nil {
				return err
			}
			pruned, err := state.Prune(olderThan)
			rep := s.report(opPrune, func(o outcome) string { return string(o.Transfer) })
			rep.quiet = true
			for i, t := range pruned {
				rep.add(i, outcome{op: opPrune, kind: t.Kind, sized: true, Result: transfer.Result{Path: t.Path, UID: t.UID,
					Name: t.Name, Size: t.Size, Outcome: transfer.Deleted, Transfer: t.ID}})
			}
			if err != nil {
				rep.add(len(pruned), outcome{op: opPrune, err: err})
			}
			s.code = rep.close(s.now())
			return nil
		},
	}
	cmd.Flags().DurationVar(&olderThan, "older-than", transfer.PruneAge, "`TIME` for which what is forgotten was not touched")
	return cmd
}
