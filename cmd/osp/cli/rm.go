package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
)

func newRemove(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm UID...",
		Short: "Delete files",
		Long: "Delete files for good. On a terminal osp asks first; elsewhere -y is needed. The bytes\n" +
			"are freed later, unless another file has the same.",
		Example: "  osp rm 381270594817523712\n  osp rm -n $(osp ls -q tmp/)",
		Args:    atLeastOne("UID"),
		RunE:    func(cmd *cobra.Command, args []string) error { return removeRun(cmd.Context(), s, args, yes) },
	}
	s.addDryRun(cmd.Flags())
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func removeRun(ctx context.Context, s *session, args []string, yes bool) error {
	ids, err := uids(args)
	if err != nil {
		return err
	}
	if !yes && !s.dryRun {
		if err := s.confirm(ctx, fmt.Sprintf("Delete %s for good (%s)?", counted(len(ids)), strings.Join(args, " "))); err != nil {
			return err
		}
	}
	engine, err := s.engine(transfer.DefaultPartsPerFile, nil)
	if err != nil {
		return err
	}
	var items []item
	for _, uid := range ids {
		items = append(items, item{known: transfer.Result{UID: uid}, run: s.instead(
			func(ctx context.Context) (transfer.Result, error) { return engine.WouldRemove(ctx, uid) },
			func(ctx context.Context) (transfer.Result, error) { return engine.Remove(ctx, uid) })})
	}
	rep := s.report(opRemove, func(outcome) string { return "" })
	s.work(ctx, rep, items, defaultJobs)
	s.code = rep.close(s.now())
	return nil
}

// confirm asks a yes-or-no question on a terminal. Without one nobody can
// answer, and no is assumed: KindUsage. A no is an error of no kind.
func (s *session) confirm(ctx context.Context, question string) error {
	if !s.ask {
		err := usagef("nobody can be asked here, so nothing was done")
		err.Hint = "Add -y."
		return err
	}
	fmt.Fprint(s.con.err, question+" [y/N] ")
	answers := make(chan string, 1)
	go func() { // a read of a terminal cannot be given up; after a signal the process ends anyway
		line, _ := bufio.NewReader(s.in).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		s.con.note("")
		return context.Cause(ctx)
	case a := <-answers:
		if a == "y" || a == "yes" {
			return nil
		}
		return errors.New("not confirmed, so nothing was done")
	}
}
