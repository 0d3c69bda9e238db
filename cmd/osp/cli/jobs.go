package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

func newJobs(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Look at the work that a daemon does by itself",
		Long: "Look at the work that a daemon does by itself, in jobs: each is ready, running, done,\n" +
			"dead (it failed as often as it may) or cancelled. What ended is forgotten a day later.",
		Example: "  osp admin jobs list --state dead\n  osp admin jobs follow $(osp admin jobs start -q scrub 381270594817523712)",
		Args:    noVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newJobsList(s), newJobsShow(s), newJobsStart(s), newJobsRetry(s), newJobsCancel(s), newJobsFollow(s), newJobsManifest(s))
	return cmd
}

func newJobsList(s *session) *cobra.Command {
	var state, kind string
	limit := 0
	cmd := &cobra.Command{
		Use:         "list",
		Short:       "List jobs, newest first",
		Long:        "List jobs, newest first; with -q their ids alone, with --json one Job a line.",
		Example:     "  osp admin jobs list\n  osp admin jobs list --state dead --kind scrub",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit must not be negative")
			}
			if err := checkState(state); err != nil {
				return err
			}
			return s.listJobs(cmd.Context(), client.JobQuery{State: protocol.JobState(state), Kind: protocol.JobKind(kind)}, limit)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "`STATE` of those to list: ready, running, done, dead or cancelled")
	cmd.Flags().StringVar(&kind, "kind", "", "`KIND` of those to list")
	cmd.Flags().IntVar(&limit, "limit", 0, "list at most this many (0: all)")
	return cmd
}

// checkState refuses what is no state, "" for any.
func checkState(state string) error {
	err := protocol.CheckJobState(protocol.JobState(state))
	e, ok := errors.AsType[*protocol.Error](err)
	if state == "" || !ok {
		return nil
	}
	usage := usagef("--state: %s", e.Message)
	usage.Hint = e.Hint
	return usage
}

// jobsPage is how many jobs are asked for at once.
const jobsPage = 1000

func (s *session) listJobs(ctx context.Context, q client.JobQuery, limit int) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	var all []protocol.Job
	for {
		q.Limit = jobsPage
		if limit > 0 {
			q.Limit = min(jobsPage, limit-len(all))
		}
		list, err := c.Jobs(ctx, q)
		if err != nil {
			return stopped(ctx, err)
		}
		all = append(all, list.Jobs...)
		if list.Next == nil || limit > 0 && len(all) >= limit {
			break
		}
		q.Cursor = *list.Next
	}
	if s.opts.json {
		for _, j := range all {
			s.con.result(marshal(j))
		}
	} else if len(all) > 0 {
		s.con.result([]byte(s.jobTable(all)))
	}
	return nil
}

func newJobsShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use:         "show JOB...",
		Short:       "Print all that is known of jobs",
		Long:        "Print all that is known of jobs: what they are about, how far they are, and why they\nfailed. With --json their Jobs, one a line.",
		Example:     "  osp admin jobs show 42",
		Args:        atLeastOne("JOB"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachJob(cmd, args, func(c *client.Client) jobVerb { return c.Job }, func(j protocol.Job) string { return fields(jobFields(j)) })
		},
	}
}

func newJobsRetry(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "retry JOB...",
		Short: "Have jobs tried again",
		Long: "Have jobs tried again that are dead or were cancelled. They go on where they were. A\n" +
			"job that waits for its next attempt, or its time, has it now.",
		Example:     "  osp admin jobs retry $(osp admin jobs list -q --state dead)",
		Args:        atLeastOne("JOB"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachJob(cmd, args, func(c *client.Client) jobVerb { return c.RetryJob }, s.jobLine)
		},
	}
}

func newJobsCancel(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel JOB...",
		Short: "Cancel jobs",
		Long: "Cancel jobs. One that runs is \"cancelling\" until it has ended; osp admin jobs follow waits\n" +
			"for that. Of a job that comes again and again, one run is cancelled.",
		Example:     "  osp admin jobs cancel 42",
		Args:        atLeastOne("JOB"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachJob(cmd, args, s.cancelJob, s.jobLine)
		},
	}
}

// cancelJob cancels a job, and says so where there is nothing to cancel any more.
func (s *session) cancelJob(c *client.Client) jobVerb {
	return func(ctx context.Context, id protocol.JobID) (protocol.Job, error) {
		j, err := c.CancelJob(ctx, id)
		if err == nil && !s.opts.quiet && (j.State == protocol.JobDone || j.State == protocol.JobDead) {
			s.con.note(overAlready(j))
		}
		return j, err
	}
}

// overAlready says that a job was over, and how one is undone that can be.
func overAlready(j protocol.Job) string {
	text := fmt.Sprintf("osp: job %s is %s already; nothing was cancelled", j.ID, j.State)
	var its migration
	if j.Kind == protocol.JobMigrate && j.State == protocol.JobDone && json.Unmarshal(j.Args, &its) == nil {
		text += fmt.Sprintf("; osp admin migrate --from %s --to %s moves everything back", clean(its.To), clean(its.From))
	}
	return text
}

// jobVerb is what is done to one job.
type jobVerb func(ctx context.Context, id protocol.JobID) (protocol.Job, error)

// eachJob does the verb to each job, and prints it; -q: its id alone.
func (s *session) eachJob(cmd *cobra.Command, args []string, verb func(*client.Client) jobVerb, text func(protocol.Job) string) error {
	ids := make([]protocol.JobID, len(args))
	for i, arg := range args {
		id, err := protocol.ParseJobID(arg)
		if err != nil {
			return usagef("%v", err)
		}
		ids[i] = id
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	var codes []int
	for _, id := range ids {
		j, err := verb(c)(cmd.Context(), id)
		err = s.advise(stopped(cmd.Context(), err))
		codes = append(codes, exitOf(err))
		if err != nil {
			s.con.note(explain(strings.TrimPrefix(cmd.CommandPath(), "osp "), id.String(), err))
			continue
		}
		s.printJob(j, text)
	}
	s.code = fold(codes)
	return nil
}

func (s *session) printJob(j protocol.Job, text func(protocol.Job) string) {
	switch {
	case s.opts.json:
		s.con.result(marshal(j))
	case s.opts.quiet:
		s.con.result([]byte(j.ID.String()))
	default:
		s.con.result([]byte(text(j)))
	}
}

func newJobsStart(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start KIND [UID]",
		Short: "Have a job done now",
		Long: "Have a job done now: scrub UID reads a file of yours and compares it with what is\n" +
			"recorded of it. Without UID it is about all there is, for which the scope admin is\n" +
			"needed: digest, expire, scrub, sweep. Where one about the same waits already, that\n" +
			"one is moved up. Its id, kind and state are printed; with -q the id alone.",
		Example:     "  osp admin jobs start scrub 381270594817523712\n  osp admin jobs start sweep",
		Args:        between1And2("KIND"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE:        func(cmd *cobra.Command, args []string) error { return s.startJob(cmd.Context(), args) },
	}
	return cmd
}

func between1And2(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return atLeastOne(what)(cmd, args)
		}
		return atMost(2)(cmd, args)
	}
}

func (s *session) startJob(ctx context.Context, args []string) error {
	create := protocol.CreateJob{Kind: protocol.JobKind(args[0])}
	if len(args) > 1 {
		uid, err := protocol.ParseUID(args[1])
		if err != nil {
			return err
		}
		if create.Args, err = json.Marshal(map[string]protocol.UID{"file": uid}); err != nil {
			return err
		}
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	j, err := c.CreateJob(ctx, create, rand.Text())
	if err != nil {
		return stopped(ctx, err)
	}
	s.printJob(j, s.jobLine)
	return nil
}
