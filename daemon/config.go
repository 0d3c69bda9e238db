package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/adrg/xdg"

	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/webhook"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store/open"
)

// Config is what an operator chooses. Each field's key in the configuration
// file is its koanf tag; the same key in upper case behind OSPD_, with "__"
// between levels, is its environment variable.
type Config struct {
	// Listen is host:port of the API.
	Listen string `koanf:"listen"`
	// AdminListen serves metrics and profiles: a loopback host:port or
	// unix:/path. Empty: not served.
	AdminListen string `koanf:"admin_listen"`
	// PublicURL is the address under which others reach the daemon, through a
	// proxy. While there are no tokens its host is one the daemon answers to.
	PublicURL string `koanf:"public_url"`
	// Data is the folder of everything the daemon keeps; one daemon uses it.
	Data string `koanf:"data"`
	// DB is sqlite, in <data>/meta.db, or the address of a Postgres database.
	DB Database `koanf:"db"`
	// DefaultStore takes new blobs. May be empty when there is one store.
	DefaultStore string `koanf:"default_store"`
	// Stores by name. Without any there is one, "disk", at <data>/blobs.
	Stores map[string]open.Config `koanf:"stores"`
	// VerifyReads is when blocks are checked before they are served.
	VerifyReads file.VerifyMode `koanf:"verify_reads"`
	// Insecure allows a listener off loopback although there are no tokens.
	Insecure bool `koanf:"insecure"`
	// Quotas bound what owners may have.
	Quotas QuotaConfig `koanf:"quotas"`
	// Instant is whose contents a claim reaches.
	Instant meta.Scope `koanf:"instant"`
	// ClaimFailures is how many proofs of one token, or owner while there are
	// no tokens, may fail within an hour.
	ClaimFailures int `koanf:"claim_failures_per_hour"`
	// SweepInterval is from one round of the sweep to the next.
	SweepInterval time.Duration `koanf:"sweep_interval"`
	// Grace is how long the object of a blob stays that nothing refers to any
	// more: readers that began before then end well.
	Grace time.Duration `koanf:"grace"`
	// AbandonAfter is how long an upload lives after its last part began.
	AbandonAfter time.Duration `koanf:"abandon_after"`
	// Events is how events are kept.
	Events EventsConfig `koanf:"events"`
	// Webhooks is where webhooks may lead, and how long they are tried.
	Webhooks WebhooksConfig `koanf:"webhooks"`
	// Jobs is how the daemon works on jobs.
	Jobs JobsConfig `koanf:"jobs"`
	// Digests is what is computed of contents once they are there.
	Digests DigestConfig `koanf:"digests"`
	// Scrub is how everything is read again, in the search for rot.
	Scrub ScrubConfig `koanf:"scrub"`
	// Links is how long links are good.
	Links LinksConfig `koanf:"links"`
	// CORS is which web pages may use the API.
	CORS CORSConfig `koanf:"cors"`
	// Cluster has the daemon be one of several on its database.
	Cluster ClusterConfig `koanf:"cluster"`
	// V0Access is who may use version 0 of the API without a token.
	V0Access V0AccessConfig `koanf:"v0_access"`
	// MaxSize is the largest file in bytes; 0 means the protocol's limit.
	MaxSize int64 `koanf:"max_size"`
	// DrainTimeout is how long requests in flight may take to finish after
	// SIGTERM.
	DrainTimeout time.Duration `koanf:"drain_timeout"`

	// joins says that other nodes may be beside this one.
	joins bool
	// version is what runs, as others are told.
	version string
	// forgets is the store, not in the configuration, whose objects are given up:
	// nothing is refused for its sake but what is still of use.
	forgets string
}

// DefaultConfig is the configuration of an ospd started without any.
func DefaultConfig() Config {
	return Config{
		Listen:       "127.0.0.1:8888",
		Data:         filepath.Join(xdg.DataHome, "ospd"),
		VerifyReads:  file.VerifyFirst,
		DrainTimeout: 60 * time.Second,

		Instant: meta.ScopeOwner, ClaimFailures: 10,
		SweepInterval: time.Minute, Grace: time.Hour, AbandonAfter: 7 * 24 * time.Hour,
		Events: EventsConfig{Retention: 7 * 24 * time.Hour}, Webhooks: WebhooksConfig{GiveUpAfter: webhook.DefaultGiveUpAfter},
		Digests: DigestConfig{Stores: digestLocal, Rate: 64 << 20},
		Scrub:   ScrubConfig{Period: 30 * 24 * time.Hour, Rate: 32 << 20},
		Links:   LinksConfig{MaxExpiry: link.DefaultMaxExpiry},
	}
}

// Complete fills in what follows from the rest and reports everything that is
// wrong, not only the first thing.
func (c *Config) Complete() error {
	abs, err := filepath.Abs(c.Data)
	if err != nil || c.Data == "" {
		return fmt.Errorf("data: %q is not a folder's path", c.Data)
	}
	c.Data = abs
	if len(c.Stores) == 0 {
		c.Stores = map[string]open.Config{"disk": {Type: "local", Path: filepath.Join(c.Data, "blobs")}}
	}
	if c.DefaultStore == "" && len(c.Stores) == 1 {
		for name := range c.Stores {
			c.DefaultStore = name
		}
	}
	return errors.Join(c.checkListeners(), c.DB.check(), c.checkStores(), c.checkReads(), c.checkClaims(), c.checkTimes(), c.checkJobs(), c.checkQuotas(), c.checkReading(), c.Links.check(), c.Cluster.check(c.DB), c.CORS.check(), c.V0Access.check())
}

func (c *Config) checkListeners() error {
	var errs []error
	if _, err := isLoopback(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, fmt.Errorf("public_url: %q is not an http or https URL", c.PublicURL))
	}
	if c.AdminListen != "" && !strings.HasPrefix(c.AdminListen, "unix:/") {
		if local, err := isLoopback(c.AdminListen); err != nil {
			errs = append(errs, fmt.Errorf("admin_listen: %w", err))
		} else if !local {
			errs = append(errs, fmt.Errorf("admin_listen: %s is not loopback; use 127.0.0.1:PORT or unix:/PATH", c.AdminListen))
		}
	}
	return errors.Join(errs...)
}

// publicHost is the host of PublicURL, "" without one.
func (c *Config) publicHost() string {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// isLoopback reports whether only this machine reaches host:port.
func isLoopback(addr string) (bool, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return false, fmt.Errorf("%q is not HOST:PORT", addr)
	}
	if host == "localhost" {
		return true, nil
	}
	if host == "" {
		return false, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false, fmt.Errorf("%q is not HOST:PORT with an IP address or localhost", addr)
	}
	return ip.IsLoopback(), nil
}

func (c *Config) checkStores() error {
	var errs []error
	if _, ok := c.Stores[c.DefaultStore]; !ok && c.DefaultStore == "" {
		errs = append(errs, errors.New("default_store is missing: of several stores, name the one where new files go"))
	} else if !ok {
		errs = append(errs, fmt.Errorf("default_store: %q is not one of the stores", c.DefaultStore))
	}
	var good []string
	for _, name := range slices.Sorted(maps.Keys(c.Stores)) {
		s := c.Stores[name]
		if err := holder.CheckName(name); err != nil {
			errs = append(errs, fmt.Errorf("stores.%s: %w", name, err))
		}
		if err := s.Check(); err != nil {
			errs = append(errs, under("stores."+name+".", err))
			continue
		}
		for _, other := range good {
			if s.Overlaps(c.Stores[other]) {
				errs = append(errs, fmt.Errorf("stores.%s: its objects would lie where those of store %s lie", name, other))
			}
		}
		good = append(good, name)
	}
	return errors.Join(errs...)
}

// under puts where the keys are that errors begin with in front of each.
func under(at string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s%w", at, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, under(at, e))
	}
	return errors.Join(errs...)
}

func (c *Config) checkReads() error {
	switch c.VerifyReads {
	case file.VerifyAlways, file.VerifyFirst, file.VerifyOff:
		return nil
	}
	return fmt.Errorf("verify_reads: %q is not always, first or off", c.VerifyReads)
}

func (c *Config) checkClaims() error {
	var errs []error
	switch c.Instant {
	case meta.ScopeOwner, meta.ScopeGlobal, meta.ScopeOff:
	default:
		errs = append(errs, fmt.Errorf("instant: %q is not owner, global or off", c.Instant))
	}
	if c.ClaimFailures < 1 {
		errs = append(errs, fmt.Errorf("claim_failures_per_hour: %d is not at least 1; instant: off ends claims", c.ClaimFailures))
	}
	return errors.Join(errs...)
}

func (c *Config) checkTimes() error {
	if c.DrainTimeout <= 0 {
		return fmt.Errorf("drain_timeout: %s is not a time to wait", c.DrainTimeout)
	}
	if c.SweepInterval <= 0 {
		return fmt.Errorf("sweep_interval: %s is not a time to wait", c.SweepInterval)
	}
	if c.Grace < 0 {
		return fmt.Errorf("grace: %s is negative", c.Grace)
	}
	if c.AbandonAfter <= 0 {
		return fmt.Errorf("abandon_after: %s is not a time to wait", c.AbandonAfter)
	}
	if c.Events.Retention < time.Hour {
		return fmt.Errorf("events.retention: %s is less than an hour", c.Events.Retention)
	}
	if c.Webhooks.GiveUpAfter < time.Minute {
		return fmt.Errorf("webhooks.give_up_after: %s is less than a minute", c.Webhooks.GiveUpAfter)
	}
	if c.MaxSize < 0 {
		return fmt.Errorf("max_size: %d is negative", c.MaxSize)
	}
	return nil
}

func (c *Config) checkJobs() error {
	var errs []error
	for kind, n := range c.Jobs.Concurrency {
		if !slices.Contains(protocol.JobKinds(), kind) {
			errs = append(errs, fmt.Errorf("jobs.concurrency: %q is not a kind of job; there are %s", kind, strings.Join(kindNames(), ", ")))
		} else if n < 1 || n > maxConcurrency {
			errs = append(errs, fmt.Errorf("jobs.concurrency.%s: %d is not 1 to %d", kind, n, maxConcurrency))
		}
	}
	return errors.Join(errs...)
}

// databasePath is where SQLite keeps the metadata.
func (c *Config) databasePath() string { return filepath.Join(c.Data, "meta.db") }

// metadata says which database to open.
func (c *Config) metadata(log *slog.Logger) meta.Config {
	m := meta.Config{Path: c.databasePath(), Logger: log, DefaultQuota: c.Quotas.Default.meta()}
	if c.DB.shared() {
		m.Path, m.URL = "", *c.DB.address
	}
	return m
}

// makeData makes the data folder, readable by its owner only, and what is
// missing above it, so that a power cut takes none of it away.
func (c *Config) makeData() error { return makeFolder(c.Data, syncFolder) }

// makeFolder is os.MkdirAll with the names of the folders it makes put on the
// disk by sync, from the top down.
func makeFolder(path string, sync func(folder string) error) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || parent == path {
		return os.MkdirAll(path, 0o700)
	}
	if err := makeFolder(parent, sync); err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return sync(parent)
}

// syncFolder makes the names in a folder durable. Windows has no such call:
// NTFS journals names by itself.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
