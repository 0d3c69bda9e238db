package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
)

type gcOptions struct {
	config  *configFlags
	collect daemon.Collecting
	json    bool
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
			"their bytes, is not forgotten. The disk of a node of a cluster that is gone is\n" +
			"NAME@NODE, as osp admin stores shows it.\n\n" +
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
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func runGC(ctx context.Context, e *env, o *gcOptions) error {
	cfg, err := o.config.load(e)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
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
