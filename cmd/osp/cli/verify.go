package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

func newVerify(s *session) *cobra.Command {
	parts := 0
	cmd := &cobra.Command{
		Use:   "verify UID [PATH]",
		Short: "Check a stored file, or compare a local file with it",
		Long: "Without PATH: read all of a stored file from the daemon, check every block against its\n" +
			"digest and those against the file's, and write nothing. With PATH: compare that file of\n" +
			"this machine with the stored one, block by block; only block digests travel. The first\n" +
			"block that differs is named. Exit 7 when something is not what it should be.\n" +
			"A line is printed for a file that is good: its uid, a tab and its path or stored name.",
		Example: "  osp verify 381270594817523712\n  osp verify 381270594817523712 big.iso && rm big.iso",
		Args:    verifyArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return verifyRun(cmd.Context(), s, args, parts) },
	}
	cmd.Flags().IntVarP(&parts, "parts", "c", transfer.DefaultPartsPerFile, "ranges at once")
	return cmd
}

func verifyArgs(cmd *cobra.Command, args []string) error {
	if err := atLeastOne("UID")(cmd, args); err != nil {
		return err
	}
	if err := atMost(2)(cmd, args); err != nil {
		return err
	}
	if len(args) == 2 && args[1] == standardInput {
		err := usagef("standard input cannot be compared: PATH is a file")
		err.Hint = "osp hash - prints the digest that osp stat has."
		return err
	}
	return nil
}

func verifyRun(ctx context.Context, s *session, args []string, parts int) error {
	uid, err := protocol.ParseUID(args[0])
	if err != nil {
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
	it := item{known: transfer.Result{UID: uid}, kind: transfer.DirectionGet,
		run: func(ctx context.Context) (transfer.Result, error) { return engine.Verify(ctx, uid) }}
	if len(args) == 2 {
		it.known.Path = args[1]
		it.run = func(ctx context.Context) (transfer.Result, error) { return engine.Compare(ctx, uid, args[1]) }
	}
	rep := s.report(opVerify, s.verifyText)
	progress.Expect(1, 0)
	stop := s.show(progress, false)
	s.work(ctx, rep, []item{it}, 1)
	stop()
	s.code = rep.close(s.now())
	return nil
}

// verifyText is the line of a file that is good.
func (s *session) verifyText(o outcome) string {
	if o.Path == "" {
		o.Path = o.Name
	}
	return s.putText(o)
}
