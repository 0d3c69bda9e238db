package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

func newCat(s *session) *cobra.Command {
	var parts int
	var noVerify bool
	cmd := &cobra.Command{
		Use:   "cat UID...",
		Short: "Write files to standard output, each block verified",
		Long: "Write files to standard output, one after the other. Every block is verified before\n" +
			"it is written; when one cannot be had, output ends there and osp does not exit 0.",
		Example: "  osp cat 381270594817523712 | tar t",
		Args:    atLeastOne("UID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := uids(args)
			if err != nil {
				return err
			}
			return catFiles(cmd.Context(), s, opCat, ids, parts, transfer.CatRequest{NoVerify: noVerify})
		},
	}
	cmd.Flags().IntVarP(&parts, "parts", "c", transfer.DefaultPartsPerFile, "ranges at once")
	cmd.Flags().BoolVar(&noVerify, "no-verify", false, "do not verify blocks")
	return cmd
}

// catFiles writes Files to standard output. It is silent unless something
// fails, and then begins no further File: what follows a gap is of no use.
func catFiles(ctx context.Context, s *session, op string, ids []protocol.UID, parts int, req transfer.CatRequest) error {
	if s.opts.json {
		err := usagef("--json cannot be printed where the file's bytes go")
		err.Hint = "Leave --json out, or write to a file with: osp get -o PATH"
		return err
	}
	if err := between("--parts", parts, maxPartsPerFile); err != nil {
		return err
	}
	progress := &transfer.Progress{}
	engine, err := s.engine(parts, progress)
	if err != nil {
		return err
	}
	rep := s.report(op, func(outcome) string { return "" })
	rep.quiet = true
	progress.Expect(len(ids), 0)
	stop := func() {}
	if !isTerminal(s.con.out) {
		stop = s.show(progress, false)
	}
	for i, uid := range ids {
		req.UID = uid
		o := s.one(ctx, op, item{known: transfer.Result{UID: uid}, kind: transfer.DirectionGet,
			run: func(ctx context.Context) (transfer.Result, error) {
				return engine.Cat(ctx, req, s.con.out)
			}})
		rep.add(i, o)
		if o.err != nil {
			break
		}
	}
	stop()
	s.code = rep.close(s.now())
	return nil
}
