package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

func newList(s *session) *cobra.Command {
	limit, failIfEmpty := 0, false
	cmd := &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List your files, newest first",
		Long: "List your files, newest first; with PREFIX those whose names begin with it. For each\n" +
			"one line is printed: uid, size in bytes, when it was committed, and name, with tabs\n" +
			"between; with -q the uid alone; with --json its File object.",
		Example:     "  osp ls\n  osp ls photos/2026/\n  osp rm -y $(osp ls -q tmp/)",
		Args:        atMost(1),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usagef("--limit must not be negative")
			}
			return listRun(cmd.Context(), s, strings.Join(args, ""), limit, failIfEmpty)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "list at most this many (0: all)")
	addFailIfEmpty(cmd.Flags(), &failIfEmpty)
	return cmd
}

// listRun prints each page as it comes: a list may be longer than memory.
func listRun(ctx context.Context, s *session, prefix string, limit int, failIfEmpty bool) error {
	engine, err := s.engine(transfer.DefaultPartsPerFile, nil)
	if err != nil {
		return err
	}
	if failIfEmpty {
		s.code = exitNothing
	}
	err = engine.Files(ctx, client.FileQuery{Prefix: prefix}, limit, func(f protocol.File) error {
		s.code = exitDone
		switch {
		case s.opts.json:
			s.con.result(marshal(f))
		case s.opts.quiet:
			s.con.result([]byte(f.UID.String()))
		default:
			s.con.result([]byte(strings.Join([]string{f.UID.String(), strconv.FormatInt(f.Size, 10), f.CommittedAt.String(), clean(f.Name)}, "\t")))
		}
		return s.con.lost()
	})
	return stopped(ctx, err)
}
