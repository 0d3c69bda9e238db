package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/compose"
	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/event"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/metrics"
	"github.com/osproxy/osproxy/daemon/migrate"
	"github.com/osproxy/osproxy/daemon/scrub"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/daemon/webhook"
	"github.com/osproxy/osproxy/protocol"
)

// JobsConfig is how the daemon works on jobs.
type JobsConfig struct {
	// Concurrency is how many jobs of a kind one daemon runs at once.
	Concurrency map[protocol.JobKind]int `koanf:"concurrency"`
}

// maxConcurrency bounds what somebody may set it to.
const maxConcurrency = 64

func kindNames() (names []string) {
	for _, kind := range protocol.JobKinds() {
		names = append(names, string(kind))
	}
	return names
}

// workers are who does jobs.
type workers struct {
	db       *meta.DB
	sweep    *sweep.Sweeper
	compose  *compose.Worker
	digest   *digest.Worker
	scrub    *scrub.Worker
	events   *event.Hub
	webhooks *webhook.Service
	migrate  *migrate.Worker
	intake   *intake.Worker
}

// handlers are all kinds of jobs there are. docs/jobs.md tells of each.
func (c *Config) handlers(w workers) []job.Handler {
	again := func(int) time.Duration { return c.SweepInterval }
	return []job.Handler{
		{Kind: protocol.JobExpire, Do: round(w.sweep, w.sweep.Expire), Backoff: again},
		{Kind: protocol.JobSweep, Do: sweeps(w.sweep), Backoff: again},
		// That of what all nodes reach, which may take days, and a node's own.
		{Kind: protocol.JobDigest, Do: w.digest.Do, Concurrency: 2},
		// The storage does the work, each on a connection of its own.
		{Kind: protocol.JobCompose, Do: job.With(w.compose.Do), Concurrency: 4},
		// A pass takes days, and a suspected content does not wait for its end.
		{Kind: protocol.JobScrub, Do: job.With(ofFiles(w.db, w.scrub.Do)), Concurrency: 2},
		{Kind: protocol.JobEvent, Do: job.With(func(ctx context.Context, _ *job.Run, parked meta.ParkedEvent) error {
			return redo(ctx, w.events, parked)
		})},
		// One that waits for days does not keep others from theirs.
		{Kind: protocol.JobMigrate, Do: job.With(w.migrate.Do), Concurrency: 2},
		// A large one does not keep a small one from being done.
		{Kind: protocol.JobImport, Do: job.With(w.intake.Do), Concurrency: 2},
		{Kind: protocol.JobNotify, Concurrency: 8, Do: job.With(func(ctx context.Context, _ *job.Run, args meta.NotifyArgs) error {
			return w.webhooks.Notify(ctx, args.Webhook)
		})},
	}
}

// periodic are the jobs that come again and again. What a node's own disk is swept
// by is that node's alone, and waits while it is down.
func (c *Config) periodic(node meta.NodeID) []job.Periodic {
	list := []job.Periodic{
		{Job: meta.NewJob{Kind: protocol.JobExpire, Subject: everything}, Every: c.SweepInterval},
		{Job: meta.NewJob{Kind: protocol.JobSweep, Subject: everything}, Every: c.SweepInterval},
		{Job: digest.Job(), Every: digestInterval},
	}
	scrubs := job.Periodic{Job: meta.NewJob{Kind: protocol.JobScrub, Subject: everything, Priority: protocol.PriorityIdle}, Every: c.Scrub.Period}
	if !c.DB.shared() {
		return append(list, scrubs)
	}
	// A node that is alone again ends what it had beside others, and the other way
	// round.
	mine := []job.Periodic{{Job: scrubOn(node), Every: c.Scrub.Period}, {Job: sweepOn(node), Every: c.SweepInterval}, {Job: digest.JobOn(node), Every: digestInterval}}
	mine[0].Job.Priority = scrubs.Job.Priority
	if c.joins {
		scrubs.Every = 0
	} else {
		for i := range mine {
			mine[i].Every = 0
		}
	}
	return append(append(list, scrubs), mine...)
}

// sweepOn is the sweep of a node's own disks.
func sweepOn(node meta.NodeID) meta.NewJob {
	return meta.NewJob{Kind: protocol.JobSweep, Subject: "disks of node " + string(node), Node: string(node)}
}

// scrubOn is a pass of a node: it reads what the node reaches, and what nobody read
// since it began.
func scrubOn(node meta.NodeID) meta.NewJob {
	return meta.NewJob{Kind: protocol.JobScrub, Subject: everything + " that node " + string(node) + " reaches", Node: string(node)}
}

// everything is the subject of jobs about all there is.
const everything = "all"

// jobHolder is this process as who does jobs.
func (c *Config) jobHolder(in *Installation) meta.JobHolder {
	if c.DB.shared() {
		return meta.HolderOn(in.Node, rand.Text())
	}
	return meta.JobHolder{Name: rand.Text()}
}

// queue makes the queue that runs them.
func (c *Config) queue(in *Installation, w workers, aside func() bool, met *metrics.Metrics, log *slog.Logger) (*job.Queue, error) {
	handlers := c.handlers(w)
	for i, h := range handlers {
		if n := c.Jobs.Concurrency[h.Kind]; n > 0 {
			handlers[i].Concurrency = n
		}
	}
	return job.New(job.Config{
		Meta: in.DB, Handlers: handlers, Periodic: c.periodic(in.Node), Holder: c.jobHolder(in),
		StandsAside: aside,
		Alone:       !c.joins, // the lock on the data folder is ours, or the database
		Ended:       func(kind protocol.JobKind, r meta.JobResult, took time.Duration) { met.Job(kind, r.String(), took) },
		Logger:      log,
	})
}

// sweeps does the sweep of all there is, and that of a node's own disks.
func sweeps(s *sweep.Sweeper) func(context.Context, *job.Run) error {
	return func(ctx context.Context, r *job.Run) error {
		if r.Job.Node != "" {
			return round(s, s.SweepDisks)(ctx, r)
		}
		return round(s, s.Sweep)(ctx, r)
	}
}

// round is a round of the sweep as a job.
func round(s *sweep.Sweeper, do func(context.Context) (sweep.Report, error)) func(context.Context, *job.Run) error {
	return func(ctx context.Context, r *job.Run) error {
		report, err := do(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.Tell(report)
		r.Progress(protocol.JobProgress{Done: int64(report.Expired + report.Abandoned + report.Deleted), Unit: "ended", Note: report.Held})
		return err
	}
}
