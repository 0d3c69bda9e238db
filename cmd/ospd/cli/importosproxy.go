package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/protocol"
)

// What --md5 may be.
const (
	md5Check  = "check"
	md5Ignore = "ignore"
)

type importOsproxyOptions struct {
	config *configFlags
	dsn    string
	stores []string
	owner  string
	md5    string
	dryRun bool
	json   bool
}

func newImportOsproxy(e *env) *cobra.Command {
	o := &importOsproxyOptions{}
	cmd := &cobra.Command{
		Use:   "import-osproxy --dsn postgres://… --store NAME",
		Short: "Take over what osproxy kept: its files, with their uids, where they lie",
		Long: "Make Files of what osproxy kept, in a stopped installation: with the same uids, and\n" +
			"on the same objects, which stay where they are. osproxy's database is read, and\n" +
			"nothing of osproxy's is changed. Uids of new files lie above those.\n\n" +
			"--store says where the objects are. The store of that name has osproxy's buckets\n" +
			"(image, video, audio, doc, archive, unknown) as folders, as a local folder has, or\n" +
			"is the only one of them. Where each is a bucket of its own say --store BUCKET=NAME\n" +
			"once for each; --store NAME besides is for those that were not said.\n\n" +
			"Each row whose object is not there, or has another size, is a line, and so is each\n" +
			"file that gets another name since no File can have its own. Rows to which nothing\n" +
			"was uploaded are counted. It may be run as often as you like, also while osproxy\n" +
			"runs, and after it was killed: a uid is one File. One whose row has changed since is\n" +
			"made anew, as long as its bytes lie in osproxy's objects; else it is a line.\n\n" +
			"Where the bytes are not of the MD5 that osproxy has, the digest job of the File finds that\n" +
			"out later, and from then on the File is not read. With --md5 ignore its MD5 is not taken\n" +
			"over, and that of the File is found by its digest job. It is for an osproxy whose MD5s were\n" +
			"never right; Files of an import before that are not read for their MD5 are read again.\n\n" +
			"Where root runs it, it acts as the user whose the data folder is: he has to be able to read\n" +
			"osproxy's objects and the files that the address names, and to put a mark into the store.\n\n" +
			"The owner's quota has to allow all of it: an import that meets it ends, says how much is\n" +
			"wanted, and goes on when it is run again with a configuration that allows it.\n\n" +
			"With --dry-run nothing is changed, and the daemon may run; it ends as the import would,\n" +
			"also where the quota is too small.\n\n" +
			"Exit: 0 done, 1 interrupted, or what it says cannot be printed, 2 the address or a store is\n" +
			"none, 3 a database failed, 4 a store failed, 7 some rows have no File, or one of what they were\n" +
			"before (each is a line), 8 a daemon is running, 11 the quota of the owner is too small.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runImportOsproxy(cmd.Context(), e, o) },
	}
	o.config = addConfigFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.dsn, "dsn", "", "`ADDRESS` of osproxy's database, postgres://user:password@host:port/name; others of this\n"+
		"machine see what is on a command line: - reads it, one line, from standard input")
	f.StringArrayVar(&o.stores, "store", nil, "`[BUCKET=]NAME`: the store of the configuration in which osproxy's objects, or those of its\n"+
		"BUCKET, are; may be given more than once")
	f.StringVar(&o.owner, "owner", "", "`OWNER` of the Files; unless it is said that of v0_access, or local where there is none")
	f.StringVar(&o.md5, "md5", md5Check, "`check|ignore`: whether the bytes have to be of the MD5s that osproxy has")
	f.BoolVar(&o.dryRun, "dry-run", false, "look at everything and change nothing")
	f.BoolVar(&o.json, "json", false, "print a line of JSON for each row with something to say, and a summary")
	return cmd
}

func runImportOsproxy(ctx context.Context, e *env, o *importOsproxyOptions) error {
	if o.dsn == "" || len(o.stores) == 0 {
		return usageError{errors.New("import-osproxy: say where osproxy's database is (--dsn), and in which store its objects are (--store)")}
	}
	if o.md5 != md5Check && o.md5 != md5Ignore {
		return usageError{fmt.Errorf("import-osproxy: --md5 is %s or %s, and not %q", md5Check, md5Ignore, o.md5)}
	}
	cfg, err := o.config.own(e)
	if err != nil {
		return err
	}
	from, err := databaseAt(e, "import-osproxy", o.dsn)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, e.stderr)
	defer stop()
	defer surviveClosedPipes()()
	r := newOsproxyReport(e, o)
	sum, err := daemon.ImportOsproxy(ctx, cfg, daemon.OsproxyImport{
		From: from, Stores: o.stores, Owner: protocol.Owner(o.owner), IgnoreMD5: o.md5 == md5Ignore,
		DryRun: o.dryRun, Tell: r.row, Progress: r.progress,
	}, newLogger(e.stderr, false))
	if _, unprinted := errors.AsType[*unprintedError](err); unprinted {
		return err // neither can the summary be
	}
	if err != nil && o.dryRun && sum.Quota.Over() {
		return errors.Join(err, r.end(sum)) // all was looked at
	}
	if err != nil && ctx.Err() != nil && protocol.KindOf(err) != protocol.KindQuotaExceeded {
		err = o.stopped() // what a signal cut short says nothing of its own
	}
	if err != nil {
		return errors.Join(ifRunning(err), r.interrupted(sum))
	}
	if err := r.end(sum); err != nil {
		return err
	}
	if !sum.Whole() {
		return errFindings
	}
	return nil
}

// stopped is the error of one that a signal ended.
func (o *importOsproxyOptions) stopped() error {
	if o.dryRun {
		return errors.New("interrupted: not everything was looked at, and nothing was changed")
	}
	return errors.New("interrupted: what was imported stays, and nothing is half done; run it again, and it goes on")
}

// surviveClosedPipes has writing to a pipe that nobody reads be an error, of
// which the process would die else, until the function that it gives is called.
func surviveClosedPipes() (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGPIPE)
	return func() { signal.Stop(signals) }
}
