package cli

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/protocol"
)

func newResume(s *session) *cobra.Command {
	failIfEmpty := false
	cmd := &cobra.Command{
		Use:   "resume [TRANSFER | UID | PATH | UID PATH]",
		Short: "Continue what was interrupted",
		Long: "Continue unfinished transfers: one by its id, those of a uid or of a path, or\n" +
			"all that are remembered for this server. UID PATH continues an upload that\n" +
			"nothing is remembered of, asking the daemon what it holds.",
		Example: "  osp resume\n  osp resume 01JD7Q6Z0000000000000000AB\n  osp resume 381270594817523712 big.iso",
		Args:    atMost(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return resumeRun(cmd.Context(), s, args, failIfEmpty) },
	}
	addFailIfEmpty(cmd.Flags(), &failIfEmpty)
	return cmd
}

func resumeRun(ctx context.Context, s *session, args []string, failIfEmpty bool) error {
	progress := &transfer.Progress{}
	engine, err := s.engine(transfer.DefaultPartsPerFile, progress)
	if err != nil {
		return err
	}
	var items []item
	if len(args) == 2 {
		uid, err := protocol.ParseUID(args[0])
		if err != nil {
			return err
		}
		items = []item{{known: transfer.Result{UID: uid, Path: args[1]}, kind: transfer.DirectionPut,
			run: func(ctx context.Context) (transfer.Result, error) { return engine.ResumeUID(ctx, uid, args[1]) }}}
		expectFiles(progress, args[1:])
	} else {
		chosen, err := s.choose(ctx, args)
		if err != nil {
			return err
		}
		var total int64
		for _, t := range chosen {
			items = append(items, resumeItem(engine, t))
			total += t.Size
		}
		progress.Expect(len(items), total)
	}
	rep := s.report(opResume, s.resumeText)
	rep.failIfEmpty = failIfEmpty
	if len(items) == 0 {
		s.con.note("osp: nothing to resume")
	}
	stop := s.show(progress, false)
	s.work(ctx, rep, items, defaultJobs)
	stop()
	s.code = rep.close(s.now())
	return nil
}

func resumeItem(engine *transfer.Engine, t transfer.Transfer) item {
	return item{known: transfer.Result{UID: t.UID, Path: t.Path, Name: t.Name, Size: t.Size, Transfer: t.ID}, kind: t.Kind,
		run: func(ctx context.Context) (transfer.Result, error) { return engine.Resume(ctx, t) }}
}

// resumeText is the line put or get would have printed.
func (s *session) resumeText(o outcome) string {
	if o.kind == transfer.DirectionGet {
		return getText(o)
	}
	return s.putText(o)
}

// choose finds the transfers that the argument means, newest first. An
// argument that means none is KindNotFound; without an argument none is none.
// The daemon is asked who it is only when there is something to continue.
func (s *session) choose(ctx context.Context, args []string) ([]transfer.Transfer, error) {
	chosen, err := s.remembered()
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		wanted, err := meant(args[0])
		if err != nil {
			return nil, err
		}
		chosen = slices.DeleteFunc(chosen, func(t transfer.Transfer) bool { return !wanted(t) })
		if len(chosen) == 0 {
			return nil, &protocol.Error{Kind: protocol.KindNotFound, Message: "no unfinished transfer is remembered for " + args[0],
				Hint: "osp transfers list, or osp resume UID PATH for an upload"}
		}
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	caps, err := c.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	elsewhere := chosen[0]
	chosen = slices.DeleteFunc(chosen, func(t transfer.Transfer) bool { return t.ServerID != caps.ServerID })
	if len(chosen) == 0 && len(args) > 0 {
		return nil, &protocol.Error{Kind: protocol.KindNotFound,
			Message: "transfer " + string(elsewhere.ID) + " belongs to another daemon than the one at " + s.opts.server,
			Hint:    elsewhere.Command() + " --server " + shellWord(elsewhere.Server)}
	}
	return chosen, nil
}

// remembered gives all transfers of this machine, newest first. Files of
// transfers that cannot be used are warned of; the others go on.
func (s *session) remembered() ([]transfer.Transfer, error) {
	state, err := transfer.OpenState("")
	if err != nil {
		return nil, err
	}
	all, broken, err := state.List()
	for _, b := range broken {
		s.warn(b.Error())
	}
	return all, err
}

// meant tells what one argument of resume is (WIRE 12): the id of a transfer if
// it is a ULID, a uid if it is 16 to 19 digits, else a path.
func meant(arg string) (func(transfer.Transfer) bool, error) {
	if id, err := transfer.ParseID(arg); err == nil {
		return func(t transfer.Transfer) bool { return t.ID == id }, nil
	}
	if regexp.MustCompile(`^[0-9]{16,19}$`).MatchString(arg) {
		uid, err := protocol.ParseUID(arg)
		return func(t transfer.Transfer) bool { return t.UID == uid }, err
	}
	path, err := filepath.Abs(arg)
	if err != nil {
		return nil, &protocol.Error{Kind: protocol.KindLocalIO, Message: "the current folder cannot be found", Err: err}
	}
	return func(t transfer.Transfer) bool { return t.Path == path }, nil
}
