package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

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
			"In a cluster --from disk is about the disk of each node, with a job for each that its node\n" +
			"does, and --from disk@NODE about that of one. A disk whose node is down is named, and left.\n\n" +
			"Exit, with --follow: 0 all is moved, 3 it is done and damaged files were left behind, 1 it is dead,\n" +
			"9 it was cancelled. Of several disks: what all ended with, and 3 where that differs.",
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

// migrate begins a migration of each disk that is meant, and waits for all of them
// where it is to.
func (s *session) migrate(ctx context.Context, m migration) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	sources, err := s.sources(ctx, c, m.From)
	if err != nil {
		return stopped(ctx, err)
	}
	var jobs []protocol.Job
	var codes []int
	for _, from := range sources {
		m.From = from
		j, err := s.begin(ctx, c, m)
		switch {
		case err != nil && (len(sources) == 1 || ctx.Err() != nil):
			return stopped(ctx, err)
		case err != nil:
			codes = append(codes, s.failedOne(ctx, "store "+from, err))
		case m.follow:
			jobs = append(jobs, j)
		default:
			s.printJob(j, s.jobLine)
			codes = append(codes, exitDone)
		}
	}
	for _, j := range jobs {
		code, err := s.followOne(ctx, c, j, len(sources) == 1)
		if err != nil {
			return stopped(ctx, err)
		}
		codes = append(codes, code)
	}
	s.code = fold(codes)
	return nil
}

// failedOne tells of one of several that failed, and gives its exit code.
func (s *session) failedOne(ctx context.Context, subject string, err error) int {
	err = s.advise(stopped(ctx, err))
	s.con.note(explain("admin migrate", subject, err))
	return exitOf(err)
}

// sources are the stores that are meant by a name: in a cluster the disk of each node
// under it, or that of the node it names.
func (s *session) sources(ctx context.Context, c *client.Client, name string) ([]string, error) {
	list, err := c.Stores(ctx)
	if err != nil {
		return nil, err
	}
	configured, node, one := strings.Cut(name, "@")
	var names []string
	for _, st := range list.Stores {
		if is, _, _ := strings.Cut(st.Name, "@"); is == configured && (!one || valueOr(st.Node, "") == node) {
			names = append(names, st.Name)
		}
	}
	if len(names) == 0 {
		names = append(names, name) // of which the daemon says what is wrong
	}
	return names, nil
}

// begin has a migration done, or finds the job that does it.
func (s *session) begin(ctx context.Context, c *client.Client, m migration) (protocol.Job, error) {
	args, err := json.Marshal(m)
	if err != nil {
		return protocol.Job{}, err
	}
	j, err := c.CreateJob(ctx, protocol.CreateJob{Kind: protocol.JobMigrate, Args: args}, rand.Text())
	if protocol.KindOf(err) == protocol.KindConflict {
		j, err = s.migrates(ctx, c, m, err)
	}
	return j, err
}

// followOne waits for the end of a migration, and gives the exit code of that. The
// error is why it is not known; or, of the only one, that it is not what was asked for.
func (s *session) followOne(ctx context.Context, c *client.Client, j protocol.Job, only bool) (code int, err error) {
	if !s.opts.quiet {
		s.con.note(fmt.Sprintf("osp: job %[1]s migrates; should osp be stopped, it goes on: osp admin jobs follow %[1]s waits for its end, osp admin jobs cancel %[1]s ends it", j.ID))
	}
	ended, err := s.follow(ctx, c, j.ID)
	if err != nil {
		return exitOf(err), err
	}
	s.code = exitDone
	switch err := s.followed(ended); {
	case err == nil:
		return s.code, nil
	case only:
		return exitOf(err), err
	default:
		return s.failedOne(ctx, "", err), nil
	}
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
		if err := json.Unmarshal(j.Args, &its); err != nil || its.From != m.From || its.To != m.To && !strings.HasPrefix(its.To, m.To+"@") {
			continue
		}
		if !s.opts.quiet {
			s.con.note("osp: job " + j.ID.String() + " does that already, at the rate that it was begun with")
		}
		return j, nil
	}
	return protocol.Job{}, why
}
