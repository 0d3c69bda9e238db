// Package cli is ospd's command line: one file per verb, and the exit codes of
// WIRE 13.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/daemon"
	"github.com/osproxy/osproxy/protocol"
)

// The exit codes of ospd.
const (
	exitDone     = 0
	exitOther    = 1
	exitConfig   = 2
	exitDatabase = 3
	exitStore    = 4
	exitListener = 5
	exitDrain    = 6
	exitFindings = 7
	exitRunning  = 8
	// exitQuota is what osp ends with where a quota is met.
	exitQuota = 11
)

// env is what a command touches of the process.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
}

// Main runs one command and returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr, environ: os.Environ()}
	root := newRoot(e)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	if !errors.Is(err, errFindings) {
		fmt.Fprintln(stderr, "ospd:", strings.ReplaceAll(explained(err), "\n", "\nospd: "))
	}
	return code
}

// explained is what an error says, with what to do about it where it knows that.
func explained(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.Hint != "" && !strings.Contains(text, e.Hint) {
		text += "\n" + e.Hint
	}
	return text
}

func newRoot(e *env) *cobra.Command {
	serve := newServe(e)
	root := &cobra.Command{
		Use:   "ospd",
		Short: "Store files behind uids, whatever holds their bytes",
		Long: "ospd stores files, on local disks or in object stores, and hands out uids that stay valid.\n" +
			"Without a verb it serves: ospd --data DIR is ospd serve --data DIR.",
		Args:          noArgs,
		RunE:          serve.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.Flags().AddFlagSet(serve.Flags())
	root.AddCommand(serve, newToken(e), newKeys(e), newFsck(e), newGC(e), newStore(e), newMetadata(e), newImportOsproxy(e), newHealthcheck(e), newPeerCert(e), newVersion(e))
	addTestCommands(root, e)
	return root
}

// usageError is a command line that was not understood.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() + "\nsee: ospd --help" }
func (u usageError) Unwrap() error { return u.err }

// noArgs refuses what is neither a verb nor a flag.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// errFindings ends an fsck that found damage; the report has been printed.
var errFindings = errors.New("findings")

// exitCode is what a script branches on.
func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitConfig
	}
	if errors.Is(err, errFindings) {
		return exitFindings
	}
	if _, ok := errors.AsType[runningError](err); ok {
		return exitRunning
	}
	if protocol.KindOf(err) == protocol.KindQuotaExceeded {
		return exitQuota
	}
	if e, ok := errors.AsType[*daemon.Error](err); ok {
		switch e.Stage {
		case daemon.StageConfig:
			return exitConfig
		case daemon.StageLock, daemon.StageDatabase:
			return exitDatabase
		case daemon.StageStore:
			return exitStore
		case daemon.StageListener:
			return exitListener
		case daemon.StageDrain:
			return exitDrain
		}
	}
	return exitOther
}
