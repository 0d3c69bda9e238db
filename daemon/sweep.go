package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/daemon/upload"
)

// sweeping is how an installation is swept.
func (c *Config) sweeping(in *Installation, files *file.Service, log *slog.Logger) sweep.Config {
	return sweep.Config{
		Meta: in.DB, Stores: in.Stores, Scrub: files.Scrub,
		Interval: c.SweepInterval, Grace: c.Grace, AbandonAfter: c.AbandonAfter, Logger: log,
	}
}

// ErrClock is that of a Collect that did nothing, since the clock may be wrong.
var ErrClock = errors.New("nothing was removed: the clock may be wrong")

// Collect takes the data folder of a daemon that does not run, settles what a
// crash left, and runs one round of the sweep, with the grace period of cfg.
// The error tells of what failed; the report is of what was done all the same.
// A clock more than an hour from that of the last round is ErrClock, unless
// the caller vouches for it with clockIsRight.
func Collect(ctx context.Context, cfg Config, clockIsRight bool, log *slog.Logger) (r sweep.Report, err error) {
	unobserved := func(string) func(string, error, time.Duration) { return nil }
	in, err := OpenInstallation(ctx, cfg, false, log, unobserved)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	sc := cfg.sweeping(in, file.New(file.Config{Meta: in.DB, Stores: in.Stores, Verify: cfg.VerifyReads, Logger: log}), log)
	sc.Alone, sc.ClockIsRight = true, clockIsRight
	loop := sweep.New(sc)
	if err := loop.JudgeClock(ctx); err != nil {
		return r, at(StageDatabase, err)
	}
	if held := loop.Held(); held != "" {
		return r, fmt.Errorf("%w: %s", ErrClock, held)
	}
	uploads := upload.New(upload.Config{
		Meta: in.DB, Store: in.Stores[cfg.DefaultStore], Stores: in.Stores, BootID: bootID(), Logger: log,
	})
	defer func() { err = errors.Join(err, uploads.Close()) }()
	_, settled := uploads.Settle(ctx)
	parts := uploads.SettleParts(ctx)
	r, err = loop.Round(ctx)
	return r, errors.Join(at(StageStore, settled), at(StageStore, parts), at(StageDatabase, err))
}
