// Package cluster is the cluster as one of its nodes sees it: which others
// there are, which of them live, how they are doing, and how a request gets to
// one of them.
//
// The database says which nodes there are and whose lease lasts. Beside that
// each node asks each other whether it is there, all the time: a lease tells of
// a death late, and nothing of a cable that is out. A node that is down is not
// asked for anything: what needs it fails at once, with owner_down, and what
// waits for its answer fails as it goes down.
package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/meta"
)

// Nodes tells which nodes there are: *meta.DB.
type Nodes interface {
	Nodes(ctx context.Context) ([]meta.Node, error)
}

// Sender sends requests to peers: *peer.Client.
type Sender interface {
	Do(ctx context.Context, to peer.Peer, r peer.Request) (*peer.Answer, error)
	Forget(node meta.NodeID)
}

// Config is what a Cluster is made of.
type Config struct {
	Self   meta.NodeID
	Nodes  Nodes
	Sender Sender
	// Pinger sends the pings, by connections of its own, so that no other request
	// keeps them from being made or answered. It is the Sender where it is nil.
	Pinger Sender
	Log    *slog.Logger
	// Report is how this node is doing, and must not wait for anything. Whether it
	// drains the database says, and Draining did when it began.
	Report   func() Report
	Draining bool
	// Changed is told what became of another node: "new", "down", "back" or "over".
	// It may be nil, and must not wait for anything.
	Changed func(change string)
	// Times are DefaultTimes where they are zero.
	Times Times
}

// Times are how often is looked, and how long is waited.
type Times struct {
	// Look is how often the list of nodes is read, and how long that may take.
	// Again is how soon it may be read anew for a node that is not in it.
	Look, Again time.Duration
	// Ping is how often each is asked whether it is there, and Answer how long it
	// has to say so. Two pings in a row that fail make it down, of which the second
	// began after the first had failed, so that it takes at most Ping + 2·Answer.
	Ping, Answer time.Duration
	// Stall is how long a body may stand still that goes to a node which is down or
	// comes from it: as long as it moves the node lives.
	Stall time.Duration
	// Retry is what is advised to whoever asked for a node that is down.
	Retry time.Duration
}

// DefaultTimes have a node be down within 2 s.
func DefaultTimes() Times {
	return Times{Look: time.Second, Again: 200 * time.Millisecond, Ping: 300 * time.Millisecond, Answer: 750 * time.Millisecond, Stall: 3 * time.Second, Retry: 2 * time.Second}
}

// Cluster knows the other nodes. Its methods are safe for concurrent use; they
// know nothing before Run runs.
type Cluster struct {
	cfg   Config
	times Times
	// work is what Run waits for.
	work sync.WaitGroup
	// looking is held by whoever reads the list of nodes.
	looking sync.Mutex
	// begun is closed once Run runs.
	begun chan struct{}

	mu sync.Mutex
	// looked is when the list began to be read last, failed whether it could not,
	// over are those whose lease is over, since it is known here.
	looked time.Time
	failed bool
	over   map[meta.NodeID]time.Time
	// addresses are where the nodes of the list are, or were reached last.
	addresses map[meta.NodeID]string
	// drains says that this node is to take nothing new.
	drains bool
	// run is the context of Run, nil before and after.
	run     context.Context
	members map[meta.NodeID]*member
	vigils  map[*Vigil]struct{}
	// fell tells the patrol that a node went down.
	fell chan struct{}
}

// New makes the cluster of a node.
func New(cfg Config) *Cluster {
	c := &Cluster{cfg: cfg, drains: cfg.Draining, times: cfg.Times, members: map[meta.NodeID]*member{}, over: map[meta.NodeID]time.Time{},
		vigils: map[*Vigil]struct{}{}, begun: make(chan struct{}), fell: make(chan struct{}, 1)}
	if c.cfg.Pinger == nil {
		c.cfg.Pinger = cfg.Sender
	}
	if c.times == (Times{}) {
		c.times = DefaultTimes()
	}
	if c.cfg.Changed == nil {
		c.cfg.Changed = func(string) {}
	}
	return c
}

// Run follows the nodes until ctx ends, and returns when nothing of it runs any
// more.
func (c *Cluster) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer c.work.Wait()
	defer cancel()
	c.begin(ctx)
	defer c.end()
	c.work.Go(func() { c.patrol(ctx.Done()) })
	tick := time.NewTicker(c.times.Look)
	defer tick.Stop()
	for {
		c.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Cluster) begin(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = ctx
	close(c.begun)
}

// end lets nobody begin anything any more.
func (c *Cluster) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = nil
	for node, m := range c.members {
		c.leave(node, m)
	}
	for v := range c.vigils {
		delete(c.vigils, v)
		v.cut(errEnded)
	}
}

// lookAnew gives up only once the list was read that was asked for now or later.
func (c *Cluster) lookAnew(ctx context.Context) {
	asked := time.Now()
	c.looking.Lock()
	defer c.looking.Unlock()
	c.mu.Lock()
	looked := c.looked
	c.mu.Unlock()
	if looked.After(asked) {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(looked.Add(c.times.Again))):
		c.read(ctx)
	}
}

func (c *Cluster) look(ctx context.Context) {
	c.looking.Lock()
	defer c.looking.Unlock()
	c.read(ctx)
}

// read reads the list of nodes. Where it cannot be read the one before stands:
// the nodes are asked all the same. c.looking is held.
func (c *Cluster) read(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, c.times.Look)
	defer cancel()
	began := time.Now()
	list, err := c.cfg.Nodes.Nodes(limited)
	if err != nil && ctx.Err() != nil {
		return // that the caller left tells nothing of the list
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = began
	switch {
	case err != nil && !c.failed:
		c.cfg.Log.Warn("the list of nodes cannot be read; the last one stands", "error", err)
	case err == nil && c.failed:
		c.cfg.Log.Info("the list of nodes can be read again")
	}
	if c.failed = err != nil; err == nil {
		c.follow(list)
	}
}

// follow begins to ask those that are new, and forgets those whose lease is
// over. c.mu is held.
func (c *Cluster) follow(list []meta.Node) {
	if c.run == nil {
		return
	}
	living := map[meta.NodeID]bool{}
	c.addresses = map[meta.NodeID]string{}
	for _, n := range list {
		c.addresses[n.ID] = n.Address
		if n.ID == c.cfg.Self {
			c.drain(n.Draining)
		}
		if living[n.ID] = n.ID != c.cfg.Self && n.Living && n.Address != ""; !living[n.ID] {
			c.overNow(n.ID)
			continue
		}
		delete(c.over, n.ID)
		m := c.members[n.ID]
		if m == nil {
			m = newMember(c, n)
			c.members[n.ID] = m
			c.work.Go(func() { m.watch(m.ctx) })
			c.cfg.Changed("new")
			c.cfg.Log.Info("a node of the cluster", "node", n.ID, "address", n.Address, "version", n.Version)
		}
		m.row(n)
	}
	for node, m := range c.members {
		if !living[node] {
			c.cfg.Changed("over")
			c.cfg.Log.Warn("the lease of a node is over", "node", node)
			c.leave(node, m)
		}
	}
}

// drain notes whether this node is to take nothing new. c.mu is held.
func (c *Cluster) drain(on bool) {
	if c.drains != on {
		c.cfg.Log.Info(map[bool]string{true: "draining: what is new goes to other nodes until this one is undrained", false: "not draining any more"}[on])
	}
	c.drains = on
}

// leave forgets a node. c.mu is held.
func (c *Cluster) leave(node meta.NodeID, m *member) {
	delete(c.members, node)
	m.leave()
	c.overNow(node)
	c.cfg.Sender.Forget(node)
	c.cfg.Pinger.Forget(node)
	c.fall()
}

// overNow notes since when a lease is over. c.mu is held.
func (c *Cluster) overNow(node meta.NodeID) {
	if _, known := c.over[node]; !known {
		c.over[node] = time.Now()
	}
}
