package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/protocol"
)

type gcOptions struct {
	config  *configFlags
	collect daemon.Collecting
	json    bool
	// files says that the files of the store to be forgotten are listed.
	files bool
}

func newGC(e *env) *cobra.Command {
	o := &gcOptions{}
	def := daemon.DefaultConfig()
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what is not needed any more from a stopped installation",
		Long: "Remove from a stopped installation what was deleted, has expired or was\n" +
			"abandoned, and what a crash left. A running daemon does the same by itself\n" +
			"every sweep_interval; this is one round of it now. With --grace 0 also what was\n" +
			"deleted just before: nobody reads it while no daemon runs. What was begun to be\n" +
			"joined in a bucket and is in no record is ended once it is 24 hours old, whatever\n" +
			"the grace: it may be somebody else's.\n\n" +
			"Where the clock is more than an hour from where the last sweep left it, it may be\n" +
			"wrong, and by it things would seem expired that are not: nothing is removed then\n" +
			"but with --clock-is-right.\n\n" +
			"A store that was emptied is needed until what lay there is deleted. Where one is\n" +
			"gone for good before that, no daemon starts without it until --forget-store gives\n" +
			"those objects up: where they exist still, they stay. What is past its time is ended\n" +
			"first. A store that is in the configuration, or in which files or open uploads have\n" +
			"their bytes, is not forgotten: --files lists those files, also while daemons run,\n" +
			"and does nothing else; --end-uploads ends those uploads. The disk of a node of a\n" +
			"cluster that is gone is NAME@NODE, as osp admin stores shows it. What another node\n" +
			"had in its configuration when it started last is forgotten with --gone-from, which\n" +
			"names that node, or where that node was drained before it stopped.\n\n" +
			"Exit: 0 done, 1 the clock may be wrong, 2 the store to be forgotten is configured or\n" +
			"unknown, 4 it is needed, or some objects could not be deleted (the next round tries\n" +
			"again), 8 a daemon is running.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runGC(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	cmd.Flags().String("grace", def.Grace.String(), "how long the bytes of what was deleted stay; 0 for no time")
	cmd.Flags().BoolVar(&o.collect.ClockIsRight, "clock-is-right", false, "believe the clock, however long ago the last sweep was")
	cmd.Flags().StringVar(&o.collect.ForgetStore, "forget-store", "", "give up what was to be deleted in this `STORE`, which is gone for good")
	cmd.Flags().StringArrayVar(&o.collect.GoneFrom, "gone-from", nil, "the store to be forgotten is not at this `NODE` any more; may be repeated")
	cmd.Flags().BoolVar(&o.collect.EndUploads, "end-uploads", false, "end the uploads that are open in the store to be forgotten")
	cmd.Flags().BoolVar(&o.files, "files", false, "list the files in the store to be forgotten, one a line with its owner, and do nothing else")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

// checkForgetting refuses flags about a store to be forgotten that mean nothing.
func (o *gcOptions) checkForgetting() error {
	if o.collect.ForgetStore == "" && (len(o.collect.GoneFrom) > 0 || o.collect.EndUploads || o.files) {
		return usageError{errors.New("--gone-from, --end-uploads and --files are about a store to be forgotten: name it with --forget-store; nothing was done")}
	}
	if o.files && o.json {
		return usageError{errors.New("--files prints a list, and no report as --json does: give one of them; nothing was done")}
	}
	return nil
}

func runGC(ctx context.Context, e *env, o *gcOptions) error {
	if err := o.checkForgetting(); err != nil {
		return err
	}
	cfg, err := o.config.own(e)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	if o.files {
		return daemon.StoreFiles(ctx, cfg, o.collect.ForgetStore, func(owner protocol.Owner, uid protocol.UID) error {
			_, err := fmt.Fprintf(e.stdout, "%s\t%s\n", uid, owner)
			return err
		}, newLogger(e.stderr, false))
	}
	report, err := daemon.Collect(ctx, cfg, o.collect, newLogger(e.stderr, false))
	if errors.Is(err, daemon.ErrRunning) {
		return runningError{fmt.Errorf("%w; a running daemon sweeps by itself every %s", err, cfg.SweepInterval)}
	}
	if errors.Is(err, daemon.ErrClock) {
		return fmt.Errorf("%w\ncheck `date`; when it is right, run this again with --clock-is-right", err)
	}
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(e.stdout).Encode(report)
	} else {
		err = writeCollected(e.stdout, report)
	}
	if err == nil && report.Failed > 0 {
		err = &daemon.Error{Stage: daemon.StageStore, Err: fmt.Errorf("%d objects could not be deleted; the next round tries again", report.Failed)}
	}
	return err
}

// writeCollected prints what a round did.
func writeCollected(w io.Writer, r daemon.Collected) error {
	_, err := fmt.Fprintf(w, "Ended %d expired files and uploads, %d abandoned uploads.\n"+
		"Deleted %d objects, %d bytes.\nForgot %d tombstones and %d rows of what ended a day ago or earlier.\n"+
		"Read %d suspected contents, %d of them damaged.\n",
		r.Expired, r.Abandoned, r.Deleted, r.Bytes, r.Forgotten, r.Pruned, r.Scrubbed, r.Damaged)
	if err == nil && r.Unfinished > 0 {
		_, err = fmt.Fprintf(w, "Ended %d uploads to stores that nobody would have finished.\n", r.Unfinished)
	}
	if err == nil && r.GivenUp > 0 {
		_, err = fmt.Fprintf(w, "Gave up %d objects of the store that is gone.\n", r.GivenUp)
	}
	return err
}
