package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/api"
	"github.com/osproxy/osproxy/daemon/cluster"
	"github.com/osproxy/osproxy/daemon/cluster/peer"
	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/placing"
	"github.com/osproxy/osproxy/daemon/upload"
)

// peering is what a node of a cluster has that one alone does not: the way to the
// others, and the listener for them.
type peering struct {
	*peer.Verifier
	cluster *cluster.Cluster
	// client hands on, pings asks who is there.
	client, pings *peer.Client
	self          meta.NodeID
	homes         homes
	l             net.Listener
	certs         *peer.Certificates // nil with a key
	counts        peerCounts
	// place says where new blobs go.
	place *placing.Placer
	// ends says that the node stops, free is the room there was a moment ago.
	ends *atomic.Bool
	free atomic.Int64
	stop func()
}

// freeEvery is how often it is asked how much room there is.
const freeEvery = time.Second

// newPeering listens for the other nodes; nil is of a node that is alone.
func (c *Config) newPeering(ctx context.Context, in *Installation, place *placing.Placer, ends *atomic.Bool, counts peerCounts, log *slog.Logger) (_ *peering, err error) {
	if !c.Cluster.on() {
		return nil, nil
	}
	p := &peering{self: in.Node, homes: homes{records: in.DB}, place: place, ends: ends, counts: counts}
	key, certs, err := c.Cluster.identity(in.Node, log)
	if err != nil {
		return nil, at(StageConfig, err)
	}
	p.certs = certs
	for _, client := range []**peer.Client{&p.client, &p.pings} {
		if *client, err = peer.NewClient(peer.Signer{Self: in.Node, Key: key}, certs); err != nil {
			return nil, at(StageConfig, err)
		}
	}
	p.cluster = cluster.New(cluster.Config{Self: in.Node, Nodes: in.DB, Sender: p.client, Pinger: p.pings, Log: log, Report: p.report, Draining: in.drained(), Changed: counts.PeerChanged})
	p.Verifier = peer.NewVerifier(peer.VerifierConfig{Self: in.Node, Key: key, Certificates: certs, Lives: p.cluster.Lives})
	p.measure(ctx)
	p.remind(time.Now())
	if err := p.homes.read(ctx); err != nil {
		return nil, at(StageDatabase, err)
	}
	if p.l, err = (&net.ListenConfig{KeepAliveConfig: peer.KeepAlive()}).Listen(ctx, "tcp", c.Cluster.PeerListen); err != nil {
		return nil, at(StageListener, err)
	}
	log.Info("listening for the other nodes of the cluster", "node", in.Node, "on", p.l.Addr().String(), "at", c.Cluster.address())
	return p, nil
}

// ofUploads has the write side know of the other nodes. A peering that is nil, as
// that of a node that is alone, changes nothing.
func (p *peering) ofUploads(c *upload.Config) {
	if p != nil {
		c.Choose, c.Down = p.cluster.Choose, p.down
	}
}

// ofAPI has the API hand requests on.
func (p *peering) ofAPI(c *api.Config) {
	if p != nil {
		c.Peers = p
	}
}

// serveWith serves clients, and other nodes where there are some, until the server
// ends. Where one listener fails the other ends too: half a node is none.
func (p *peering) serveWith(s *api.Server, front net.Listener) error {
	if p == nil {
		return s.Serve(front)
	}
	p.stop = started(func(ctx context.Context) {
		defer started(p.watchRoom)()
		p.cluster.Run(ctx)
	})
	side := make(chan error, 1)
	go func() {
		err := s.ServePeers(p.l, p.sealing())
		if err != nil {
			err = errors.Join(err, front.Close())
		}
		side <- err
	}()
	err := s.Serve(front)
	if err != nil {
		err = errors.Join(err, p.l.Close())
	}
	return errors.Join(err, <-side)
}

// close ends a peering whose server has ended.
func (p *peering) close() error {
	if p == nil {
		return nil
	}
	if p.stop != nil {
		p.stop()
	}
	p.client.Close()
	p.pings.Close()
	if err := p.l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (p *peering) watchRoom(ctx context.Context) {
	tick := time.NewTicker(freeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.measure(ctx)
			p.remind(time.Now())
			_ = p.homes.read(ctx) // those that were read before stand
		}
	}
}

// measure looks how much room there is for what is new, where that goes now: a
// migration may have closed the store of before, at this node or another. What
// cannot be found out is as it was.
func (p *peering) measure(ctx context.Context) {
	if p.place.Load(ctx) != nil {
		return
	}
	st := p.place.Store()
	if st == nil {
		p.free.Store(0) // it goes to a store that this node does not have
		return
	}
	space, ok := st.SpaceReporter()
	if !ok {
		p.free.Store(cluster.Unlimited)
		return
	}
	if free, err := space.Free(ctx); err == nil {
		p.free.Store(max(0, free-minFree))
	}
}

func (p *peering) report() cluster.Report {
	return cluster.Report{Ending: p.ends.Load(), Free: p.free.Load()}
}

// standsAside reports whether what is new is for other nodes.
func (p *peering) standsAside() bool { return p != nil && p.cluster.StandsAside() }

// othersGoOn reports whether another node is there that does not stop, and so takes
// what this one leaves.
func (p *peering) othersGoOn() bool {
	return p != nil && slices.ContainsFunc(p.cluster.States(), func(s cluster.State) bool { return s.Heard && !s.Down && !s.Report.Ending })
}

// unreachable lists the nodes that have a lease and do not answer this one: they have
// just died, or one of the two is told a wrong address, key or certificate.
func (p *peering) unreachable() (nodes []meta.NodeID) {
	if p == nil {
		return nil
	}
	for _, s := range p.cluster.States() {
		if s.Down {
			nodes = append(nodes, s.Node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// reaches says whether another node answers this one, nil where it has not been
// asked.
func (p *peering) reaches(node meta.NodeID) *bool {
	if p == nil {
		return nil
	}
	for _, s := range p.cluster.States() {
		if s.Node == node && (s.Down || s.Heard) {
			return new(!s.Down)
		}
	}
	return nil
}

// Report is api.Peers.
func (p *peering) Report() any { return p.cluster.Report() }

// Watch is api.Peers.
func (p *peering) Watch(from peer.Verified, cut func()) api.Vigil {
	return p.cluster.Watch(from.From, cut)
}

// Do is api.Peers.
func (p *peering) Do(ctx context.Context, to *holder.Elsewhere, r peer.Request) (*peer.Answer, error) {
	node, err := p.nodeOf(ctx, to)
	if err != nil {
		return nil, err
	}
	if node == "" || node == p.self {
		return nil, to // a store that nobody has configured
	}
	return p.handOn(ctx, node, r)
}

var _ api.Peers = (*peering)(nil)
