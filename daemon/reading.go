package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/scrub"
)

// DigestConfig says of which contents the plain SHA-256, the MD5 and the media
// type are computed once they are there, and how fast.
type DigestConfig struct {
	// Stores are the ones whose contents are read for it: "local" for those that
	// are folders, "all", "none".
	Stores string `koanf:"stores"`
	// Rate is how many bytes are read a second at most, 0 for no limit.
	Rate int64 `koanf:"rate"`
}

const (
	digestLocal = "local"
	digestAll   = "all"
	digestNone  = "none"
	// digestInterval is from one look at what is due to the next, where nobody
	// gives word of it: what was put off comes again by it.
	digestInterval = time.Minute
)

// ScrubConfig says how everything is read again, in the search for rot.
type ScrubConfig struct {
	// Period is from the end of one pass to the next; 0 has none.
	Period time.Duration `koanf:"period"`
	// Rate is how many bytes are read a second at most, 0 for no limit.
	Rate int64 `koanf:"rate"`
}

func (c *Config) checkReading() error {
	var errs []error
	switch c.Digests.Stores {
	case digestLocal, digestAll, digestNone:
	default:
		errs = append(errs, fmt.Errorf("digests.stores: %q is not local, all or none", c.Digests.Stores))
	}
	if c.Digests.Rate < 0 {
		errs = append(errs, fmt.Errorf("digests.rate: %d is negative", c.Digests.Rate))
	}
	if c.Scrub.Period < 0 {
		errs = append(errs, fmt.Errorf("scrub.period: %s is negative", c.Scrub.Period))
	}
	if c.Scrub.Rate < 0 {
		errs = append(errs, fmt.Errorf("scrub.rate: %d is negative", c.Scrub.Rate))
	}
	return errors.Join(errs...)
}

// digestStores are those whose contents are read for their digests.
func (c *Config) digestStores() (names []string) {
	for name, s := range c.Stores {
		if c.Digests.Stores == digestAll || c.Digests.Stores == digestLocal && s.Type == "local" {
			names = append(names, name)
		}
	}
	return names
}

// reading makes who reads contents that nobody asked for. They stand aside
// while busy says that somebody waits for the daemon.
func (c *Config) reading(in *Installation, files *file.Service, busy func() bool, log *slog.Logger) (*digest.Worker, *scrub.Worker) {
	d := digest.Config{Meta: in.DB, Read: files, Stores: c.digestStores(), Pace: pace.New(pace.Config{Rate: c.Digests.Rate, Busy: busy}), Logger: log}
	if c.joins {
		d.Node = in.Node
		for name, own := range c.disks() {
			if own {
				d.Disks = append(d.Disks, name)
			} else {
				d.Shared = append(d.Shared, name)
			}
		}
	}
	return digest.New(d), scrub.New(scrub.Config{
		Meta: in.DB, Read: files, Pace: pace.New(pace.Config{Rate: c.Scrub.Rate, Busy: busy}), Logger: log,
	})
}
