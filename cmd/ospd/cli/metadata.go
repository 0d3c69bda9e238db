package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
)

func newMetadata(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metadata",
		Short: "Move the metadata of a stopped installation to Postgres, or back",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("metadata: say copy or back")}
		},
	}
	cmd.AddCommand(newMetadataCopy(e), newMetadataBack(e))
	return cmd
}

type metadataCopyOptions struct {
	config *configFlags
	to     string
	json   bool
}

func newMetadataCopy(e *env) *cobra.Command {
	o := &metadataCopyOptions{}
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Move the metadata of a stopped installation from SQLite to Postgres",
		Long: "Copy the metadata of a stopped installation from meta.db to a Postgres database\n" +
			"with nothing in it, read every row back and compare it. The stored files stay\n" +
			"where they are, and so do all uids, tokens, jobs and webhooks.\n\n" +
			"The copy is whole or none: one that was not brought to its end is refused by\n" +
			"every ospd, and the next run begins anew. Once it is whole meta.db is marked as\n" +
			"moved and is not served from any more, since by two databases uids would be given\n" +
			"twice; ospd metadata back takes the mark off.\n\n" +
			"Where to is what the configuration says as db: (or OSPD_DB), or else --to. Others on\n" +
			"this machine can see what is on a command line: with --to - the address, one line,\n" +
			"is read from standard input.\n\n" +
			"Exit: 0 done, 2 the address is none, 3 a database failed, or the one to copy to is\n" +
			"not empty, 8 a daemon is running.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMetadataCopy(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "`ADDRESS` of the database, postgres://user:password@host:port/name, or - to read it;\n"+
		"without it the one that db: names")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the summary as JSON")
	return cmd
}

// copiedSummary is what was copied.
type copiedSummary struct {
	Tables []copiedTable `json:"tables"`
	Rows   int64         `json:"rows"`
	// Verified says that every row was read back and is the source's.
	Verified bool `json:"verified"`
}

type copiedTable struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

func runMetadataCopy(ctx context.Context, e *env, o *metadataCopyOptions) error {
	cfg, err := o.config.own(e)
	if err != nil {
		return err
	}
	to := cfg.DB
	if o.to != "" {
		if to, err = databaseAt(e, "metadata copy", o.to); err != nil {
			return err
		}
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	report := copiedSummary{Tables: []copiedTable{}, Verified: true}
	err = daemon.CopyMetadata(ctx, cfg, to, newLogger(e.stderr, false), func(table string, rows int64, verified bool) {
		if verified {
			report.Tables = append(report.Tables, copiedTable{table, rows})
			report.Rows += rows
		}
		if isTerminal(e.stderr) {
			fmt.Fprintf(e.stderr, "%s %d rows of %s\n", map[bool]string{false: "copied", true: "read back"}[verified], rows, table)
		}
	})
	if err != nil {
		return ifRunning(err)
	}
	if o.json {
		return json.NewEncoder(e.stdout).Encode(report)
	}
	return report.write(e.stdout)
}

// databaseAt is the one that a flag of a verb names: by its address, or by - for
// an address on standard input, where nobody else of the machine sees it.
func databaseAt(e *env, verb, address string) (to daemon.Database, err error) {
	if address != "-" {
		return daemon.DatabaseAt(address), nil
	}
	line, err := bufio.NewReader(io.LimitReader(e.stdin, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return to, fmt.Errorf("read the address from standard input: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return to, usageError{fmt.Errorf("%s: there is no address on standard input", verb)}
	}
	return daemon.DatabaseAt(line), nil
}

func (s copiedSummary) write(w io.Writer) error {
	fmt.Fprintln(w, "Copied the metadata, read every row back, and found each the same:")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, t := range s.Tables {
		fmt.Fprintf(tw, "%s\t%d\t\n", t.Table, t.Rows)
	}
	fmt.Fprintf(tw, "all\t%d\t\n", s.Rows)
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "Now put the address into the configuration (db: postgres://…) and start ospd with the\n"+
		"same data folder. Keep meta.db: until something was changed on Postgres, it is the\n"+
		"way back (ospd metadata back).")
	return err
}

type metadataBackOptions struct {
	config      *configFlags
	loseChanges bool
}

func newMetadataBack(e *env) *cobra.Command {
	o := &metadataBackOptions{}
	cmd := &cobra.Command{
		Use:   "back --lose-changes",
		Short: "Serve a stopped installation from SQLite again after its metadata was moved",
		Long: "Take the mark off a meta.db that was moved to Postgres, so that ospd serves from it\n" +
			"again. What was changed on Postgres since is lost: files that were put there are\n" +
			"not known here, and files that were deleted there may be here without their bytes,\n" +
			"which ospd fsck names. --lose-changes says that you mean it.\n\n" +
			"Have the configuration say db: sqlite before, and OSPD_DB nothing else: while one of\n" +
			"them names Postgres, from which the next start would serve, nothing is changed.\n\n" +
			"Uids to come begin an hour ahead of the time, or of the last that was reserved where\n" +
			"that is later, so that none is given twice, unless the daemon on Postgres was started\n" +
			"again within the minute some sixty times. Never let an ospd run on the Postgres\n" +
			"database again, which has the same stores: drop it.\n\n" +
			"Exit: 0 done, 2 without --lose-changes or with Postgres as db:, 3 the database\n" +
			"failed or was not moved, 8 a daemon is running.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMetadataBack(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	cmd.Flags().BoolVar(&o.loseChanges, "lose-changes", false, "lose what was changed since the metadata was moved")
	return cmd
}

func runMetadataBack(ctx context.Context, e *env, o *metadataBackOptions) error {
	cfg, err := o.config.own(e)
	if err != nil {
		return err
	}
	if !o.loseChanges {
		return usageError{errors.New("metadata back: what was changed on Postgres since the metadata was moved will be lost; say --lose-changes if it may be")}
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	from, err := daemon.TakeMetadataBack(ctx, cfg, newLogger(e.stderr, false))
	if err != nil {
		return ifRunning(err)
	}
	_, err = fmt.Fprintf(e.stdout, "With db: sqlite, as this command was run, ospd serves from %s/meta.db again: see that the\n"+
		"daemon's configuration and its OSPD_DB name no other. Drop the database %s, so that nobody\n"+
		"uses it by mistake.\n", cfg.Data, from)
	return err
}

// ifRunning makes the error of a data folder or database in use one with an
// exit code of its own.
func ifRunning(err error) error {
	if errors.Is(err, daemon.ErrRunning) {
		return runningError{err}
	}
	return err
}
