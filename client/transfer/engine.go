package transfer

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/osproxy/osproxy/client"
	"github.com/osproxy/osproxy/protocol"
)

// What a zero field of Config means, and the number of retries osp asks for.
const (
	DefaultConnections     = 16
	DefaultPartsPerFile    = 4
	DefaultRetries         = 8
	DefaultRetryMaxElapsed = 15 * time.Minute
)

// copyBuffer is how much of a file is read at a time.
const copyBuffer = 256 << 10

// Config is what an Engine works with.
type Config struct {
	Client *client.Client
	// State remembers transfers; nil remembers none, and nothing is resumed
	// but what the daemon itself finds.
	State *State
	// Connections bounds the requests in flight, over all files.
	Connections int
	// PartsPerFile bounds those of one file.
	PartsPerFile int
	// Retries is how often one request is repeated; 0 is never.
	Retries int
	// RetryMaxElapsed bounds the time for which one request is tried again, from
	// its first failure on. How long it took to fail does not count: over a slow
	// line a part may be on its way for longer than this.
	RetryMaxElapsed time.Duration
	// Warn is told of what a reader should know though it is no failure. It
	// may be called from several goroutines; nil drops it.
	Warn func(msg string)
	// Progress is counted into; nil counts nothing.
	Progress *Progress
}

// Engine moves files. It is safe for concurrent use: each of its methods
// works on one file, and all share one budget of connections. A method that
// returns has ended all it started, with the one exception named at PutStream.
//
// A context that ends stops a method within a second, with what is needed to
// go on saved; the error wraps the context's cause.
type Engine struct {
	cfg   Config
	slots *semaphore.Weighted
	twins twins
	// folders makes the names of finished gets durable.
	folders folders
	// loose makes a file without a name: openUnnamed but in tests.
	loose func(target) *unnamed
	// pause waits between tries. Tests replace it.
	pause func(ctx context.Context, d time.Duration) error

	// worried is when it was last said that requests are repeated, in
	// nanoseconds since 1970.
	worried atomic.Int64

	asking *semaphore.Weighted // of 1: held while caps is asked for, or looked at
	caps   *protocol.Capabilities

	// earlier lists, once, what runs before this one left.
	earlier func() ([]Transfer, error)
}

// New makes an Engine.
func New(cfg Config) *Engine {
	if cfg.Connections < 1 {
		cfg.Connections = DefaultConnections
	}
	if cfg.PartsPerFile < 1 {
		cfg.PartsPerFile = DefaultPartsPerFile
	}
	if cfg.RetryMaxElapsed <= 0 {
		cfg.RetryMaxElapsed = DefaultRetryMaxElapsed
	}
	if cfg.Warn == nil {
		cfg.Warn = func(string) {}
	}
	e := &Engine{cfg: cfg, slots: semaphore.NewWeighted(int64(cfg.Connections)), pause: pause, loose: openUnnamed,
		asking: semaphore.NewWeighted(1)}
	e.earlier = sync.OnceValues(func() ([]Transfer, error) {
		all, _, err := cfg.State.List()
		return all, err
	})
	return e
}

// left is State.Find among the transfers that were there when the Engine first
// asked. It serves files that are moved in one request, of which there may be
// many: what other runs begin meanwhile is nothing to go on with.
func (e *Engine) left(serverID string, kind Direction, path, name string) ([]Transfer, error) {
	all, err := e.earlier()
	return about(all, serverID, kind, path, name), err
}

// Capabilities are the daemon's, which is asked once.
func (e *Engine) Capabilities(ctx context.Context) (protocol.Capabilities, error) {
	caps, err := e.capabilities(ctx, new(tries))
	if err != nil {
		return caps, own(ctx, err)
	}
	return caps, nil
}

// capabilities asks the daemon once.
func (e *Engine) capabilities(ctx context.Context, tries *tries) (protocol.Capabilities, error) {
	if err := e.asking.Acquire(ctx, 1); err != nil {
		return protocol.Capabilities{}, err
	}
	defer e.asking.Release(1)
	if e.caps != nil {
		return *e.caps, nil
	}
	var caps protocol.Capabilities
	err := e.retry(ctx, tries, func(ctx context.Context) (err error) {
		caps, err = e.cfg.Client.Capabilities(ctx)
		return err
	})
	if err == nil {
		e.caps = &caps
	}
	return caps, err
}

// workers is how many goroutines hash at once.
func workers() int { return runtime.GOMAXPROCS(0) }

// absolute is the one form of a path in a Transfer.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", localError("find "+path, err)
	}
	return abs, nil
}
