package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/spf13/cobra"

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
			"exchanged. Needs the scope admin where there are tokens.\n\n" +
			"Exit, with --follow: 0 it is done, 1 it is dead, 9 it was cancelled.",
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
	if err != nil {
		return stopped(ctx, err)
	}
	if !m.follow {
		s.printJob(j, s.jobLine)
		return nil
	}
	if j, err = s.follow(ctx, c, j.ID); err != nil {
		return stopped(ctx, err)
	}
	if j.Progress != nil && j.State == protocol.JobDone && !s.opts.json && !s.opts.quiet {
		s.con.note("osp: " + progressText(j.Progress))
	}
	return s.followed(j)
}
