package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client/transfer"
	"github.com/osproxy/osproxy/cmd/osp/batch"
	"github.com/osproxy/osproxy/protocol"
)

type runOptions struct {
	journal               string
	retryFailed, failFast bool
	maxErrors             int
	jobs, parts           int
	yes, failIfEmpty      bool
}

func newRun(s *session) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run FILE | -",
		Short: "Run a batch of puts, gets and rms",
		Long: "Run a batch: puts, gets and rms, one JSON object a line, from a file or from standard input (-). All of it is read " +
			"and checked before anything moves: bad lines are told of, each with its number, and nothing is done.\n\n" +
			"Lines are run in no order. What is printed is what put and get print, in the order of the lines. A line that fails " +
			"does not keep others from being run; osp then ends with 3, or with their code if all failed alike.\n\n" +
			"With --journal the same command continues a batch that was stopped or killed, and does nothing twice. " +
			"osp help batch says what a line may hold and what a journal is.",
		Example: "  osp run nightly.ndjson --journal nightly.journal\n" +
			"  generate | osp run - --json",
		Args: exactlyOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.journal, "journal", "", "`FILE` that remembers which lines are done; they are not done again")
	f.BoolVar(&o.retryFailed, "retry-failed", false, "run only lines that an earlier run began and did not get done (needs --journal)")
	f.BoolVar(&o.failFast, "fail-fast", false, "begin no more lines after the first that fails: --max-errors 1")
	f.IntVar(&o.maxErrors, "max-errors", 0, "begin no more lines after this many have failed (0: go on)")
	f.IntVarP(&o.jobs, "jobs", "j", defaultTransfers, "lines at once")
	f.IntVarP(&o.parts, "parts", "c", transfer.DefaultPartsPerFile, "parts or ranges of one file at once")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask about files to delete")
	s.addDryRun(f)
	addFailIfEmpty(f, &o.failIfEmpty)
	return cmd
}

// check refuses options that mean nothing.
func (o *runOptions) check() error {
	switch {
	case o.retryFailed && o.journal == "":
		return usagef("--retry-failed needs the --journal of the earlier run")
	case o.maxErrors < 0:
		return usagef("--max-errors must not be negative")
	case o.failFast && o.maxErrors > 1:
		return usagef("--fail-fast and --max-errors %d contradict each other", o.maxErrors)
	}
	if o.failFast {
		o.maxErrors = 1
	}
	if err := between("--jobs", o.jobs, maxJobs); err != nil {
		return err
	}
	return between("--parts", o.parts, maxPartsPerFile)
}

func (o *runOptions) run(ctx context.Context, s *session, from string) error {
	if err := o.check(); err != nil {
		return err
	}
	b, err := s.readBatch(ctx, from, o.checkLine(s.now()))
	if err != nil {
		return err
	}
	defer b.Close()
	r := &batchRun{s: s, o: o, batch: b, history: &batch.History{}}
	if n := b.Removes(); n > 0 && !o.yes && !s.dryRun {
		if err := s.confirm(ctx, fmt.Sprintf("The batch deletes %s for good. Run it?", counted(n))); err != nil {
			return err
		}
	}
	return r.run(ctx)
}

// readBatch reads and checks all of a batch, with also too. Bad lines are told
// of.
func (s *session) readBatch(ctx context.Context, from string, also func(batch.Line) error) (*batch.Batch, error) {
	dir := os.TempDir() // a dry run makes no folder of state
	if !s.dryRun {
		state, err := transfer.OpenState("")
		if err != nil {
			return nil, err
		}
		dir = state.Dir()
	}
	in := s.in
	if from != standardInput {
		f, err := os.Open(from)
		if err != nil {
			return nil, cannotOpen(from, err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, usagef("%s is a folder, and not a batch", from)
		}
		in = f
	}
	b, err := batch.Read(ctx, in, dir, also, func(number int, err error) {
		s.con.note(fmt.Sprintf("osp: line %d: %s", number, clean(err.Error())))
	})
	if e := stopped(ctx, err); e != nil {
		return nil, e
	}
	if b.Len() == 0 {
		s.con.note("osp: the batch has no lines")
	}
	return b, nil
}

func cannotOpen(path string, err error) error {
	e := &protocol.Error{Kind: protocol.KindLocalIO, Message: "the batch cannot be read; nothing was done", Err: err}
	if os.IsNotExist(err) {
		e.Kind, e.Message, e.Err = protocol.KindLocalMissing, "there is no file "+path, nil
	}
	return e
}

// checkLine is the check of what is this package's to understand. Where there is
// a journal a time may have passed since: the line may be done.
func (o *runOptions) checkLine(now time.Time) func(batch.Line) error {
	if o.journal != "" {
		now = time.Unix(0, 0)
	}
	return func(l batch.Line) error {
		_, err := expiryOf("expires", l.Expires, now)
		return err
	}
}

// batchText is the topic `osp help batch`, its fields from the table that lines
// are read by.
func batchText() string {
	var b strings.Builder
	b.WriteString(reflow("A batch is text in UTF-8, one JSON object a line (NDJSON). Blank lines and lines that begin with # are skipped. "+
		"A line is at most 64 KiB long, and there are at most 10,000,000. A field that is null counts as not given; one that the op "+
		"does not have, a value of another type, an id twice, two gets of one path and an rm of what another line needs are errors: "+
		"then nothing is done, and osp ends with 2.\n", textWidth))
	b.WriteString(batch.FieldsText(func(text string, indent int) string { return wrap(text, indent, textWidth) }))
	b.WriteString("\nExample\n" +
		`  {"op":"put","path":"dist/app.gz","name":"releases/app.gz","id":"app"}` + "\n" +
		`  {"op":"put","path":"log.txt","meta":{"build":"17"},"expires":"30d"}` + "\n" +
		`  {"op":"get","uid":"381270594817523712","path":"in/big.iso"}` + "\n" +
		`  {"op":"rm","uid":"381270594817523713"}` + "\n")
	section := func(title, text string) { b.WriteString("\n" + title + "\n" + wrap(text, 2, textWidth)) }
	section("Results", "Lines are run in no order, --jobs of them at once. --json prints a result for each line that was run, with "+
		`its number as "line" and its "id", and for each that a journal says was done before (outcome skipped). The summary's `+
		`"not_begun" counts the others: lines that a signal, --timeout, --max-errors or --retry-failed kept from being begun. `+
		"osp ends with 0 only if all lines are done.")
	section("Journal", "--journal FILE is made if it is not there. It belongs to this text, this daemon and, if paths are relative, "+
		`this folder, and is refused for another. It may be read: one JSON object a line, "end" with what became of a line of the `+
		"batch. Run the same command again until it ends with 0: lines that are done are skipped, all others run. --retry-failed "+
		"runs only those that were begun and are not done, not those that were never begun.")
	section("Nothing twice", "However a run ends, by kill -9 too, no put makes a second file and no rm fails for having been done. "+
		"Of bytes, at most those in flight travel again. Where osp cannot keep that, the line is a conflict (exit 9), and is done "+
		"when it is run once more: a file that changed after it was stored and before that was noted, and a put of up to 1 MiB "+
		"that was cut off more than 23 h ago, since the daemon knows those for a day.")
	return b.String()
}
