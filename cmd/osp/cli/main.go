// Package cli is the command line osp: what a person or a script types and
// reads. Moving files is package transfer's; here are flags, printing, progress,
// signals and exit codes. There is one file for each verb.
//
// Standard output carries results alone; progress, warnings, errors and hints
// go to standard error. Exit codes are those of `osp help exit-codes`.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/protocol"
)

// Main runs osp with the arguments after the program's name and returns its
// exit code. It handles the process's SIGINT and SIGTERM meanwhile: the first
// lets the verb stop and save what it needs to go on, the second makes Main
// return at once, with the verb still running. The caller is to exit then.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	s := newSession(stdin, stdout, stderr, parseEnvironment(environ))
	ended := make(chan int, 1)
	go func() { ended <- s.run(ctx, args) }()
	return await(ctx, stop, ended, signals)
}

// await returns the verb's exit code, or that of a second signal.
func await(ctx context.Context, stop context.CancelCauseFunc, ended <-chan int, signals <-chan os.Signal) int {
	for {
		select {
		case code := <-ended:
			return code
		case sig := <-signals:
			reason := stopReason(sig)
			if ctx.Err() != nil {
				return exitOf(reason)
			}
			stop(reason)
		}
	}
}

// stopReason is the error a signal stops a verb with.
func stopReason(sig os.Signal) *protocol.Error {
	if sig == syscall.SIGTERM {
		return protocol.Errorf(protocol.KindTerminated, "terminated")
	}
	return protocol.Errorf(protocol.KindInterrupted, "interrupted")
}

// run parses the command line, runs the verb and returns the exit code.
func (s *session) run(ctx context.Context, args []string) int {
	root := newRoot(s)
	root.SetArgs(args)
	verb, err := root.ExecuteContextC(ctx)
	s.close()
	if err != nil {
		s.refuse(ctx, verb, args, err)
	}
	if lost := s.con.lost(); lost != nil {
		s.con.note(explain("write results", "", lost))
		s.code = max(s.code, exitOther)
	}
	return s.code
}

// refuse tells why a verb did not get as far as its first item. Errors of
// cobra itself are all about usage.
func (s *session) refuse(ctx context.Context, verb *cobra.Command, args []string, err error) {
	if !s.started {
		s.opts.json = wantsJSON(args, s.env)
		if _, ok := errors.AsType[*protocol.Error](err); !ok {
			err = &protocol.Error{Kind: protocol.KindUsage, Message: err.Error(), Hint: verb.CommandPath() + " --help"}
		}
	}
	err = s.advise(stopped(ctx, err))
	s.code = exitOf(err)
	s.con.note(explain(strings.TrimPrefix(strings.TrimPrefix(verb.CommandPath(), "osp"), " "), "", err))
	if s.opts.json && verb.Annotations[printsObjects] == "" {
		s.con.result(marshal(summaryLine{V: 1, Type: "summary", Exit: s.code, ElapsedMS: s.now().Sub(s.began).Milliseconds()}))
	}
}

// printsObjects marks, in a command's annotations, a verb whose --json prints
// objects and no summary.
const printsObjects = "objects"

// newRoot is the whole command line.
func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "osp",
		Short: "Move files to and from ospd, and continue where it stopped",
		Long: "osp moves files to and from ospd. A file is known by its uid, which put prints.\n" +
			"What is interrupted goes on where it stopped: run it again, or osp resume.",
		Example: "  uid=$(osp put -q big.iso)\n  osp get $uid -o copy.iso\n  tar c . | osp put - --name site.tar",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := usagef("there is no verb %q", args[0])
			err.Hint = "osp --help"
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				err.Hint = "osp " + near[0]
			}
			return err
		},
		RunE:              needsVerb,
		PersistentPreRunE: s.start,
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SuggestionsMinimumDistance = 2
	root.Version = buildVersion().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(s.con.out)
	root.SetErr(s.con.err)
	root.SetIn(s.in)
	s.opts.add(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &protocol.Error{Kind: protocol.KindUsage, Message: err.Error(), Hint: cmd.CommandPath() + " --help"}
	})
	addVerbs(root, "Move files:", newPut(s), newGet(s), newCat(s), newRun(s), newResume(s), newTransfers(s))
	addVerbs(root, "Look after files:", newList(s), newStat(s), newLink(s), newRemove(s), newVerify(s), newHash(s))
	addVerbs(root, "Reach a daemon:", newLogin(s), newLogout(s), newProfile(s), newAPI(s))
	addVerbs(root, "Look after a daemon:", newAdmin(s))
	root.AddCommand(newCompletion(root), newMan(root), newVersion(s))
	root.AddCommand(topics(root)...)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(cmd.OutOrStdout(), helpText(cmd)) })
	root.SetHelpCommand(newHelp(root))
	addCompletions(root)
	return root
}

// addVerbs adds verbs that help shows together.
func addVerbs(root *cobra.Command, title string, verbs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, verb := range verbs {
		verb.GroupID = title
	}
	root.AddCommand(verbs...)
}

// needsVerb is what a command does that is only the parent of verbs.
func needsVerb(cmd *cobra.Command, _ []string) error {
	return &protocol.Error{Kind: protocol.KindUsage, Message: "a verb is missing", Hint: cmd.CommandPath() + " --help"}
}

// noVerb refuses the arguments of such a command: cobra found no verb of that
// name.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usagef("there is no verb %q", cmd.Name()+" "+args[0])
	err.Hint = cmd.CommandPath() + " --help"
	return err
}

// start runs before every verb: the environment fills what the command line
// left open, and --timeout begins.
func (s *session) start(cmd *cobra.Command, _ []string) error {
	typed := cmd.Flags().Changed("profile")
	typedServer := cmd.Flags().Changed("server")
	if err := s.env.apply(cmd.Flags()); err != nil {
		return err
	}
	s.profileFrom = source(cmd.Flags(), "profile", typed)
	s.serverFrom = source(cmd.Flags(), "server", typedServer)
	if err := s.opts.check(); err != nil {
		return err
	}
	if s.opts.timeout > 0 {
		reason := protocol.Errorf(protocol.KindTimeout, "--timeout %s was reached", s.opts.timeout.Round(time.Millisecond))
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), s.opts.timeout, reason)
		s.cleanup = append(s.cleanup, cancel)
		cmd.SetContext(ctx)
	}
	trace := s.trace()
	cmd.SetContext(protocol.WithTrace(cmd.Context(), trace))
	if s.opts.verbose > 1 {
		s.con.note("osp: trace " + trace.TraceID())
	}
	s.started = true
	return nil
}

// trace is the one that all requests of this run are part of: what the
// environment names, as CI systems do, else a new one. By it the lines of a
// daemon's log are found that one command caused.
func (s *session) trace() protocol.Trace {
	if t := protocol.ParseTraceparent(s.env[traceVariable]); !t.IsZero() {
		return t
	}
	return protocol.NewTrace()
}

const traceVariable = "TRACEPARENT"
