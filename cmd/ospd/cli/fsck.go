package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
)

type fsckOptions struct {
	config   *configFlags
	readData bool
	json     bool
}

func newFsck(e *env) *cobra.Command {
	o := &fsckOptions{}
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check a stopped installation: nothing lost, nothing left over",
		Long: "Check a stopped installation: every object has its row and every row its\n" +
			"object, and every content is there from its first byte to its last. With\n" +
			"--read-data every stored byte is read and compared.\n\n" +
			"What a crash left for later is printed as pending and is no finding. In a cluster,\n" +
			"with all its nodes stopped, the disk of another node cannot be seen from here: it is\n" +
			"printed as UNCHECKED, and fsck is to be run there too.\n\n" +
			"Exit: 0 no findings, 7 findings (each named by uid or key), 8 a daemon is running.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runFsck(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	cmd.Flags().BoolVar(&o.readData, "read-data", false, "read and compare every stored byte")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func runFsck(ctx context.Context, e *env, o *fsckOptions) error {
	cfg, err := o.config.own(e)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	report, err := daemon.Check(ctx, cfg, o.readData, newLogger(e.stderr, false))
	if err := ifRunning(err); err != nil {
		return err
	}
	write := report.WriteText
	if o.json {
		write = report.WriteJSON
	}
	if err := write(e.stdout); err != nil {
		return err
	}
	if !report.Clean() {
		return errFindings
	}
	return nil
}

// runningError is of a data folder or database that a daemon is using now.
type runningError struct{ error }
