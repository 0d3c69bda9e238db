// Package fsck proves, or disproves, that nothing acknowledged is lost and
// nothing grows for ever (promises 1 and 4 of DESIGN section 3): the objects
// in the stores are exactly the blobs of the database, every blob is used or on
// its way out, and every content is there from its first byte to its last.
//
// It changes nothing, and it expects to be alone: a daemon at work would be
// taken for damage.
package fsck

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// readers is how many contents are read at once. One disk gives little more to
// a third, and memory is bounded by it.
const readers = 2

// looksAtOnce is how many objects are looked at, not read, at once: each takes an
// object store as long as a request takes.
const looksAtOnce = 16

// Config is what to check.
type Config struct {
	Meta   *meta.DB
	Stores map[string]*store.Store
	// Others gives the stores on the disks of other nodes, which are not looked into.
	// nil: there are no other nodes.
	Others func(ctx context.Context) (map[string]Other, error)
	// ServerID is the installation's; a store that is not marked with it is
	// a finding and is not looked into. "" skips that check.
	ServerID string
	// BootID names this boot of this machine. Parts that another boot left
	// unsynced and that are not there are pending, since the daemon looks at
	// them before it counts on them.
	BootID string
	// ReadData has every block and every part read and compared.
	ReadData bool
	// Clock is time.Now when nil.
	Clock func() time.Time
	// Grace is how long a doomed blob's object stays before it is pending.
	Grace time.Duration
}

// checker is one run.
type checker struct {
	cfg Config
	now time.Time

	mu     sync.Mutex
	report Report
	// unusable are the stores that cannot be checked; each has its finding.
	unusable map[string]bool
	// others are those on other nodes' disks, by name.
	others map[string]*Unchecked
}

// Run checks everything. The error is ctx's, and the report then what was
// found until then; whatever else goes wrong is a finding.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	c := &checker{cfg: cfg, now: cfg.Clock(), unusable: map[string]bool{}, others: map[string]*Unchecked{}}
	c.report.ReadData = cfg.ReadData
	err := c.run(ctx)
	c.report.Unchecked = c.unchecked()
	c.report.sort()
	return c.report, err
}

func (c *checker) run(ctx context.Context) error {
	c.findOthers(ctx)
	for name, st := range c.cfg.Stores {
		c.checkMark(ctx, name, st)
	}
	c.database(c.cfg.Meta.CheckDatabase(ctx))
	looks, lctx := errgroup.WithContext(ctx)
	looks.SetLimit(looksAtOnce)
	c.database(c.cfg.Meta.EachBlob(ctx, func(b meta.BlobRefs) error { return c.blob(lctx, looks, b) }))
	c.database(looks.Wait())
	for name, st := range c.cfg.Stores {
		if !c.unusable[name] {
			c.objects(ctx, name, st)
		}
	}
	work, wctx := errgroup.WithContext(ctx)
	work.SetLimit(readers)
	c.database(c.cfg.Meta.EachContent(ctx, func(mc meta.ContentRefs) error { return c.content(wctx, work, mc) }))
	c.database(work.Wait())
	c.database(c.cfg.Meta.EachOpenPart(ctx, func(uid protocol.UID, p meta.Part) error { return c.part(ctx, uid, p) }))
	return ctx.Err()
}

// checkMark makes sure that a store is this installation's, without marking
// one that is not.
func (c *checker) checkMark(ctx context.Context, name string, st *store.Store) {
	if c.cfg.ServerID == "" {
		return
	}
	known, err := c.cfg.Meta.StoreKnown(ctx, name)
	if err != nil {
		c.database(err)
		return
	}
	if !known {
		return // never used: it may bear no mark yet, and holds no blobs
	}
	if err := st.Claim(ctx, c.cfg.ServerID, known); err != nil && ctx.Err() == nil {
		c.unusableStore(name, err.Error())
	}
}

// database notes what the metadata could not answer. The context's end is
// Run's to tell.
func (c *checker) database(err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	c.found(Finding{Kind: KindDatabase, Detail: err.Error()})
}

func (c *checker) found(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Findings = append(c.report.Findings, f)
}

func (c *checker) pending(store, key, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Pending = append(c.report.Pending, Pending{Store: store, Key: key, Detail: detail})
}

// count changes the counts.
func (c *checker) count(f func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.report.Counts)
}

// unusableStore notes once why a store cannot be checked.
func (c *checker) unusableStore(name, why string) {
	c.mu.Lock()
	known := c.unusable[name]
	c.unusable[name] = true
	c.mu.Unlock()
	if !known {
		c.found(Finding{Kind: KindStore, Store: name, Detail: why + "; nothing in it was checked"})
	}
}

// store is the store called name, or nil where it cannot be checked, which is
// then a finding already, or where it is another node's, which is not checked.
func (c *checker) store(name string) *store.Store {
	st, ok := c.cfg.Stores[name]
	if !ok && c.others[name] == nil {
		c.unusableStore(name, "the configuration has no such store, and blobs are in it")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unusable[name] {
		return nil
	}
	return st
}
