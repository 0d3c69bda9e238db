package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// migration is what the flags of migrate say, and the args of its job.
type migration struct {
	From string `json:"from"`
	To   string `json:"to"`
	Rate int64  `json:"rate"`

	rate   string
	follow bool
}

func newMigrate(s *session) *cobra.Command {
	m := migration{rate: rateOff}
	cmd := &cobra.Command{
		Use:   "migrate --from STORE --to STORE",
		Short: "Move what lies in one store to another, while it is read",
		Long: "Move what lies in one store to another, while it is read: uids, links and URLs stay what they\n" +
			"are. From now on new blobs that were to go to the one go to the other; every content is\n" +
			"copied, read back and compared, until nothing is left. The work is a job of the daemon: its\n" +
			"id, kind and state are printed, with -q the id alone. osp admin jobs follow tells how far\n" +
			"it is, cancel stops it, and retry has it go on. The way back is the same verb with the stores\n" +
			"exchanged; the same one again while it runs is about the job there is. Needs the scope admin where there are tokens.\n\n" +
			"Exit, with --follow: 0 all is moved, 3 it is done and damaged files were left behind, 1 it is dead,\n" +
			"9 it was cancelled.",
		Example:     "  osp admin migrate --from disk --to minio --rate 50M --follow\n  osp admin migrate --from minio --to disk",
		Args:        atMost(0),
		Annotations: map[string]string{printsObjects: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if m.From == "" || m.To == "" {
				return usagef("--from and --to name the stores; osp admin stores lists them")
			}
			var err error
			if m.Rate, err = bytesPerSecond("--rate", m.rate); err != nil {
				return err
			}
			return s.migrate(cmd.Context(), m)
		},
	}
	cmd.Flags().StringVar(&m.From, "from", "", "`STORE` from which everything is moved")
	cmd.Flags().StringVar(&m.To, "to", "", "`STORE` to which it is moved")
	cmd.Flags().StringVar(&m.rate, "rate", rateOff, "copy at this `RATE` in bytes a second at most: 50M, 1.5MiB or off")
	cmd.Flags().BoolVar(&m.follow, "follow", false, "wait for the end, and tell how far it is")
	return cmd
}

func (s *session) migrate(ctx context.Context, m migration) error {
	args, err := json.Marshal(m)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	j, err := c.CreateJob(ctx, protocol.CreateJob{Kind: protocol.JobMigrate, Args: args}, rand.Text())
	if protocol.KindOf(err) == protocol.KindConflict {
		j, err = s.migrates(ctx, c, m, err)
	}
	if err != nil {
		return stopped(ctx, err)
	}
	if !m.follow {
		s.printJob(j, s.jobLine)
		return nil
	}
	if !s.opts.quiet {
		s.con.note(fmt.Sprintf("osp: job %[1]s migrates; should osp be stopped, it goes on: osp admin jobs follow %[1]s waits for its end, osp admin jobs cancel %[1]s ends it", j.ID))
	}
	if j, err = s.follow(ctx, c, j.ID); err != nil {
		return stopped(ctx, err)
	}
	return s.followed(j)
}

// migrates is the job that does the same already, where there is one; else the
// error is why.
func (s *session) migrates(ctx context.Context, c *client.Client, m migration, why error) (protocol.Job, error) {
	list, err := c.Jobs(ctx, client.JobQuery{State: protocol.JobRunning, Kind: protocol.JobMigrate})
	if err != nil {
		return protocol.Job{}, why
	}
	for _, j := range list.Jobs {
		var its migration
		if err := json.Unmarshal(j.Args, &its); err != nil || its.From != m.From || its.To != m.To {
			continue
		}
		if !s.opts.quiet {
			s.con.note("osp: job " + j.ID.String() + " does that already, at the rate that it was begun with")
		}
		return j, nil
	}
	return protocol.Job{}, why
}
