package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

func newJobsFollow(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "follow JOB",
		Short: "Wait for the end of a job, and tell how far it is",
		Long: "Wait for the end of a job, and tell how far it is on standard error; at the end its id,\n" +
			"kind and state are printed. With --json the Job is printed whenever something of it\n" +
			"changed, the last time when it has ended. While the daemon is not reached it is asked\n" +
			"again, for --retry-max-elapsed (not with --retries 0).\n\n" +
			"Exit: 0 it is done, 3 it is a migration that left damaged files behind, 1 it is dead, 9 it\n" +
			"was cancelled.",
		Example:     "  osp admin jobs follow 42",
		Args:        exactlyOne("JOB"),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := protocol.ParseJobID(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			j, err := s.follow(cmd.Context(), c, id)
			if err != nil {
				return stopped(cmd.Context(), err)
			}
			return s.followed(j)
		},
	}
}

// followEvery is how often the daemon is asked.
const followEvery = time.Second

// follow asks until the job has ended.
func (s *session) follow(ctx context.Context, c *client.Client, id protocol.JobID) (protocol.Job, error) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	last, reached := "", s.now()
	for {
		j, err := c.Job(ctx, id)
		switch {
		case err == nil:
			reached = s.now()
			if now := s.followText(j); now != last {
				last = now
				s.tellJob(j, now)
			}
			if j.State.Ended() {
				return j, nil
			}
		case !protocol.KindOf(err).Row().Retryable || s.opts.retries == 0 || s.now().Sub(reached) > s.opts.retryFor:
			return j, err
		}
		select {
		case <-ctx.Done():
			return j, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// followText is what there is to tell of a job: with --json all of it.
func (s *session) followText(j protocol.Job) string {
	if s.opts.json {
		return string(marshal(j))
	}
	text := fmt.Sprintf("osp: job %s %s", j.ID, stateText(j))
	if j.Progress != nil {
		text += " " + progressText(j.Progress)
	}
	if j.State == protocol.JobReady && j.Error != nil {
		text += fmt.Sprintf("; attempt %d failed: %s; the next is at %s", j.Attempts, clean(*j.Error), j.RunAt)
	}
	return text
}

func (s *session) tellJob(j protocol.Job, text string) {
	switch {
	case s.opts.json:
		s.con.result([]byte(text))
	case !j.State.Ended() && s.progressMode(false) != progressNone:
		s.con.note(text)
	}
}

// followed is how the verb ends with the job.
func (s *session) followed(j protocol.Job) error {
	done := j.Kind == protocol.JobMigrate && j.State == protocol.JobDone && j.Progress != nil
	if done && !s.opts.json && !s.opts.quiet {
		s.con.note("osp: " + progressText(j.Progress))
	}
	if !s.opts.json {
		s.printJob(j, s.jobLine)
	}
	if done && j.Progress.Left > 0 {
		s.code = exitPartial
	}
	return s.ended(j)
}

// ended is what an end of a job that is not what was asked for is to the verb.
func (s *session) ended(j protocol.Job) error {
	why := ""
	if j.Error != nil {
		why = ": " + clean(*j.Error)
	}
	switch j.State {
	case protocol.JobDead:
		return &protocol.Error{Kind: protocol.KindInternal, Message: fmt.Sprintf("job %s is dead after %d attempts%s", j.ID, j.Attempts, why),
			Hint: "osp admin jobs retry " + j.ID.String() + s.given()}
	case protocol.JobCancelled:
		return &protocol.Error{Kind: protocol.KindConflict, Message: fmt.Sprintf("job %s was cancelled%s", j.ID, why),
			Hint: "osp admin jobs retry " + j.ID.String() + s.given()}
	}
	return nil
}
