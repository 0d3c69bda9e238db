package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/daemon/scrub"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/protocol"
)

// sweeping is how an installation is swept.
func (c *Config) sweeping(in *Installation, log *slog.Logger) sweep.Config {
	return sweep.Config{Meta: in.DB, Stores: in.Stores, Disks: c.disks(), Elsewhere: in.leftToOthers, Grace: c.Grace, AbandonAfter: c.AbandonAfter, KeepEvents: c.Events.Retention,
		GiveUpAfter: c.Webhooks.GiveUpAfter, Hold: in.clockOff, Logger: log}
}

// Collected is what Collect did.
type Collected struct {
	sweep.Report
	// Scrubbed counts suspected contents that were read through, Damaged those
	// of them that are damaged.
	Scrubbed int `json:"scrubbed"`
	Damaged  int `json:"damaged"`
	// GivenUp counts objects of a store that is gone, which nobody deletes.
	GivenUp int64 `json:"given_up"`
}

// Collecting is what somebody says who has an installation collected.
type Collecting struct {
	// ClockIsRight vouches for the clock.
	ClockIsRight bool
	// ForgetStore is a store that is gone for good and not in the configuration,
	// of which nothing is to be deleted any more; "" for none.
	ForgetStore string
	// GoneFrom are the nodes that do not have ForgetStore any more either, although
	// they did when they started last.
	GoneFrom []string
	// EndUploads has the uploads end that are open in ForgetStore.
	EndUploads bool
}

// ErrClock is that of a Collect that did nothing, since the clock may be wrong.
var ErrClock = errors.New("nothing was removed: the clock may be wrong")

// Collect takes the data folder of a daemon that does not run, settles what a
// crash left, runs one round of the sweep, with the grace period of cfg, and
// reads the contents whose scrub is due. The error tells of what failed; the
// report is of what was done all the same. A clock more than an hour from that
// of the last round is ErrClock, unless the caller vouches for it.
func Collect(ctx context.Context, cfg Config, o Collecting, log *slog.Logger) (r Collected, err error) {
	cfg.forgets = o.ForgetStore
	in, err := OpenInstallation(ctx, &cfg, false, log, unobserved)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if _, ok := in.Stores[o.ForgetStore]; ok {
		return r, at(StageConfig, fmt.Errorf("store %s is in the configuration; nothing was done; only a store that was taken out of it, or that of another node which is gone, can be forgotten", o.ForgetStore))
	}
	ctx, ended := in.within(ctx)
	defer func() { err = ended(err) }()
	sc := cfg.sweeping(in, log)
	sc.Alone, sc.ClockIsRight = true, o.ClockIsRight
	sweeper := sweep.New(sc)
	if err := sweeper.JudgeClock(ctx); err != nil {
		return r, at(StageDatabase, err)
	}
	if held := sweeper.Held(); held != "" {
		return r, fmt.Errorf("%w: %s", ErrClock, held)
	}
	var late sweep.Report
	if o.ForgetStore != "" {
		if r.GivenUp, late, err = in.forget(ctx, sweeper, o, cfg.AbandonAfter); err != nil {
			r.Report = late
			return r, err
		}
	}
	uploads := upload.New(upload.Config{
		Meta: in.DB, Store: in.Stores[cfg.DefaultStore], Stores: in.Stores, BootID: bootID(), Logger: log,
		Place: placing.New(in.DB, in.Stores, cfg.DefaultStore),
	})
	defer func() { err = errors.Join(err, uploads.Close()) }()
	_, settled := uploads.Settle(ctx)
	parts := uploads.SettleParts(ctx)
	r.Report, err = sweeper.Round(ctx)
	r.Expired, r.Abandoned = r.Expired+late.Expired, r.Abandoned+late.Abandoned
	files := file.New(file.Config{Meta: in.DB, Stores: in.Stores, Verify: cfg.VerifyReads, Logger: log})
	return r, errors.Join(at(StageStore, settled), at(StageStore, parts), at(StageDatabase, err), at(StageDatabase, r.scrub(ctx, in, files, cfg.jobHolder(in), log)))
}

// scrub reads the suspected contents.
func (r *Collected) scrub(ctx context.Context, in *Installation, files *file.Service, holder meta.JobHolder, log *slog.Logger) error {
	w := scrub.New(scrub.Config{Meta: in.DB, Read: files, Pace: pace.New(pace.Config{}), Logger: log, Scrubbed: func(damaged bool) {
		r.Scrubbed++
		if damaged {
			r.Damaged++
		}
	}})
	h := job.Handler{Kind: protocol.JobScrub, Do: job.With(suspected(w))}
	q, err := job.New(job.Config{Meta: in.DB, Handlers: []job.Handler{h}, Holder: holder, Alone: true, Logger: log})
	if err != nil {
		return err
	}
	return q.RunDue(ctx)
}

// suspected does the scrubs of single contents. One of everything is left to
// the daemon: nobody who frees room wants to wait for it.
func suspected(w *scrub.Worker) func(context.Context, *job.Run, meta.ScrubArgs) error {
	return func(ctx context.Context, r *job.Run, args meta.ScrubArgs) error {
		if args.Content == 0 {
			return job.Snooze(time.Minute)
		}
		return w.Do(ctx, r, args)
	}
}
