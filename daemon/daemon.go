// Package daemon is ospd as a value: New takes a configuration and wires the
// parts, Run serves until its context ends and then drains. Nothing of it is
// global, so that several fit in one test.
//
// The parts: meta (the database), upload (the write side), file (the read
// side), job (what is done beside), sweep (what removes the rest), token (who may) and api (HTTP); package
// store keeps the bytes.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/osproxy/osproxy/daemon/api"
	"github.com/osproxy/osproxy/daemon/compose"
	"github.com/osproxy/osproxy/daemon/digest"
	"github.com/osproxy/osproxy/daemon/event"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/intake"
	"github.com/osproxy/osproxy/daemon/job"
	"github.com/osproxy/osproxy/daemon/link"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/metrics"
	"github.com/osproxy/osproxy/daemon/once"
	"github.com/osproxy/osproxy/daemon/pace"
	"github.com/osproxy/osproxy/daemon/scrub"
	"github.com/osproxy/osproxy/daemon/stores"
	"github.com/osproxy/osproxy/daemon/sweep"
	"github.com/osproxy/osproxy/daemon/upload"
	"github.com/osproxy/osproxy/daemon/webhook"
	"github.com/osproxy/osproxy/protocol"
)

// Daemon is one ospd that is ready to serve.
type Daemon struct {
	cfg     Config
	log     *slog.Logger
	in      *Installation
	uploads *upload.Service
	sweep   *sweep.Sweeper
	jobs    *job.Queue
	events  *event.Hub
	sender  *webhook.Sender
	digest  *digest.Worker
	stores  *stores.Service
	// stopEvents, stopDigest, stopJobs and stopAwait end the hub, who has digest
	// jobs made, the queue, and who waits for stores, and wait for them; nil while
	// they do not run.
	stopEvents, stopDigest, stopJobs, stopAwait func()
	api                                         *api.Server
	admin                                       *admin
	ends                                        atomic.Bool
	l                                           net.Listener
	// peers are the other nodes of the cluster, nil where there is none.
	peers *peering
}

// New opens the installation, settles what a crash left, and listens. Errors
// are *Error with the stage. A Daemon that was made is ended by Run or Close.
func New(ctx context.Context, cfg Config, version string, log *slog.Logger) (_ *Daemon, err error) {
	if err := cfg.Complete(); err != nil {
		return nil, at(StageConfig, err)
	}
	// Off loopback there are tokens, or the operator vouched for the network
	// (--insecure); the names under which it knows this machine are not ours to
	// list.
	local, err := isLoopback(cfg.Listen)
	if err != nil {
		return nil, at(StageConfig, err)
	}
	cfg.joins, cfg.version = cfg.Cluster.on(), version
	if err := cfg.mayStart(ctx); err != nil {
		return nil, err
	}
	reg := prometheus.NewRegistry()
	met := metrics.New(reg)
	in, err := OpenInstallation(ctx, &cfg, true, log, met.Store)
	if err != nil {
		return nil, err
	}
	d := &Daemon{cfg: cfg, log: log, in: in}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	tokens, err := cfg.openAccess(ctx, in.DB, log)
	if err != nil {
		return nil, err
	}
	minter, err := meta.NewMinter(in.DB, in.worker(), time.Now)
	if err != nil {
		return nil, at(StageDatabase, err)
	}
	if cfg.Instant == meta.ScopeGlobal {
		log.Warn("instant: global lets every owner learn by a fingerprint whether somebody else has a file; instant: owner does not")
	}
	files := file.New(file.Config{
		Meta: in.DB, Stores: in.Stores, Verify: cfg.VerifyReads, Logger: log,
		Corrupt: func(file.Corruption) { met.Corrupt() },
	})
	d.sweep = sweep.New(cfg.sweeping(in, log))
	hooks := d.webhooks(version, met.Webhook)
	d.events = event.New(event.Config{Meta: in.DB, Consumers: consumers(listeners{log: log}), Followers: followers(hooks), Node: string(in.Node), Logger: log})
	place, err := cfg.placer(ctx, in, log)
	if err != nil {
		return nil, at(StageDatabase, err)
	}
	if d.peers, err = cfg.newPeering(ctx, in, place, &d.ends, met, log); err != nil {
		return nil, err
	}
	busy := func() bool { return d.api.Busy() }
	var scrubs *scrub.Worker
	d.digest, scrubs = cfg.reading(in, files, busy, log)
	migrates := cfg.migrating(in, files, place, busy, log)
	composer := compose.New(compose.Config{Meta: in.DB, Stores: in.Stores, Peers: cfg.joins, Place: place, Pace: pace.New(pace.Config{Rate: cfg.Scrub.Rate, Busy: busy}), Logger: log})
	keys := once.NewKeys(in.DB)
	writing := upload.Config{
		Meta: in.DB, Minter: minter, Node: cfg.nodeOf(in),
		Store: in.Stores[cfg.DefaultStore], Stores: in.Stores, Place: place,
		Holds:  in.holds,
		BootID: bootID(), Shared: cfg.joins, MaxSize: cfg.MaxSize, AbandonAfter: cfg.AbandonAfter,
		Instant: cfg.Instant, Sample: files.Sample, ClaimFailures: cfg.ClaimFailures, Once: keys,
		Logger: log, Observe: met.Upload, Saved: met.Saved, Committed: d.digest.Wake, Digests: d.digest,
	}
	d.peers.ofUploads(&writing)
	d.uploads = upload.New(writing)
	imports := cfg.importing(in, d.uploads, minter, d.digest.Wake, log)
	if d.jobs, err = cfg.queue(in, workers{
		db: in.DB, sweep: d.sweep, compose: composer, digest: d.digest, scrub: scrubs, events: d.events, webhooks: hooks, migrate: migrates, intake: imports,
	}, d.peers.standsAside, met, log); err != nil {
		return nil, at(StageConfig, err)
	}
	removed, err := d.uploads.Settle(ctx)
	if err != nil {
		return nil, at(StageStore, err)
	}
	if removed > 0 {
		log.Info("removed what a crash left: objects that no file was recorded for", "objects", removed)
	}
	if d.l, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, at(StageListener, err)
	}
	if d.admin, err = newAdmin(cfg.AdminListen, reg, log); err != nil {
		return nil, at(StageListener, err)
	}
	d.stores = cfg.storeList(in, log)
	served := api.Config{
		Uploads: d.uploads, Files: files, Jobs: job.NewService(in.DB, cfg.requests(in, files, migrates, imports), keys), Webhooks: hooks, Stores: d.stores, Nodes: nodeList{in.DB, d.stores, in.Node, d.peers}, Manifests: intake.NewManifests(in.DB), Logger: log, Metrics: met, Ready: d.notReady, Notes: d.notes,
		Capabilities: d.capabilities(version), Tokens: tokens,
		Links:     link.New(link.Config{Records: in.DB, Minter: minter, Once: keys, MaxExpiry: cfg.Links.MaxExpiry, MaxSize: cfg.MaxSize}),
		PublicURL: cfg.PublicURL, Origins: cfg.CORS.Origins,
	}
	if served.V0, err = cfg.V0Access.access(); err != nil {
		return nil, at(StageConfig, err)
	}
	if local {
		served.Hosts = append(api.LoopbackHosts(d.l.Addr()), cfg.publicHost())
	}
	d.peers.ofAPI(&served)
	d.api = api.New(served)
	in.tell(d.report)
	return d, nil
}

// report is what the nodes beside this one are told of it.
func (d *Daemon) report() meta.NodeReport {
	return meta.NodeReport{Ending: d.ends.Load(), Load: int64(d.api.Load())}
}

func (d *Daemon) capabilities(version string) protocol.Capabilities {
	c := protocol.Capabilities{
		ServerID: d.in.ServerID, Version: version, API: []string{"v1"},
		BlockSize: protocol.BlockSize, PartSize: protocol.MinPartSize, MaxParts: protocol.MaxParts,
		OneShotMax: protocol.OneShotMax, MaxSize: protocol.MaxSize, Features: []string{protocol.FeatureProbe},
	}
	if d.cfg.MaxSize > 0 && d.cfg.MaxSize < c.MaxSize {
		c.MaxSize = d.cfg.MaxSize
	}
	if d.cfg.Instant != meta.ScopeOff {
		c.Features = append(c.Features, protocol.FeatureInstant)
	}
	return c
}

// Addr is where the API listens.
func (d *Daemon) Addr() net.Addr { return d.l.Addr() }

// URL is what a client on this machine gives as --server.
func (d *Daemon) URL() string { return "http://" + d.l.Addr().String() }

// Run serves until ctx ends, then drains: requests in flight may finish within
// DrainTimeout. It closes the Daemon. A drain that did not end in time is an
// *Error of StageDrain; what was acknowledged is safe all the same.
func (d *Daemon) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- d.peers.serveWith(d.api, d.l) }()
	d.stopAwait = started(func(ctx context.Context) { d.in.await(ctx, d.log, awaitPause) })
	d.stopJobs, d.stopDigest, d.stopEvents = started(d.jobs.Run), started(d.digest.Run), started(d.events.Run)
	if d.admin != nil {
		d.admin.serve()
	}
	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", errors.Join(err, errors.New("the listener ended")))
	case <-ctx.Done():
		d.ends.Store(true)
		d.in.tell(d.report)
		d.log.Info("draining: finishing requests in flight", "timeout", d.cfg.DrainTimeout)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.DrainTimeout)
		defer cancel()
		handed := func() {}
		if d.peers.othersGoOn() {
			handed = d.handOver()
		}
		err = errors.Join(at(StageDrain, d.api.Drain(drain)), <-served)
		handed()
	case <-d.in.lost():
		err = at(StageDatabase, errPlaceLost)
		d.giveUp(context.WithoutCancel(ctx))
		err = errors.Join(err, <-served)
	}
	return errors.Join(err, d.Close())
}

// handOver gives the jobs that run here back, while requests have their time to
// end: another node goes on with them at once. Where there is none they run on until
// the end, since requests may wait for what a job finds out.
func (d *Daemon) handOver() (wait func()) {
	over := make(chan struct{})
	stopDigest, stopJobs := d.stopDigest, d.stopJobs
	d.stopDigest, d.stopJobs = nil, nil
	go func() {
		defer close(over)
		stopDigest()
		stopJobs()
	}()
	return func() { <-over }
}

// giveUp ends a daemon whose database another has taken over: new requests are
// refused, those in flight have a moment, in which they cannot write.
func (d *Daemon) giveUp(ctx context.Context) {
	d.log.Error("ending: "+errPlaceLost.Error(), "node", d.in.Node)
	drain, cancel := context.WithTimeout(ctx, giveUpTimeout)
	defer cancel()
	if err := d.api.Drain(drain); err != nil {
		d.log.Warn("requests are cut", "err", err)
	}
}

// giveUpTimeout is how long requests in flight may take then: what they bring
// would be lost, and what they read can be read of the other daemon.
const giveUpTimeout = 2 * time.Second

// started runs something until it is stopped.
func started(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// Close ends a Daemon that does not run. It returns everything that failed.
func (d *Daemon) Close() error {
	var errs []error
	if d.api != nil {
		errs = append(errs, d.api.Close())
	}
	if d.l != nil {
		// Serve closes it too, where it ran.
		if err := d.l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if d.admin != nil {
		errs = append(errs, d.admin.close())
	}
	errs = append(errs, d.peers.close())
	for _, stop := range []func(){d.stopEvents, d.stopDigest, d.stopJobs, d.stopAwait} {
		if stop != nil {
			stop()
		}
	}
	if d.sender != nil {
		d.sender.Close()
	}
	if d.uploads != nil {
		errs = append(errs, d.uploads.Close())
	}
	return errors.Join(append(errs, d.in.Close())...)
}

// notes lists what holds the daemon back from less than its work.
func (d *Daemon) notes() []string {
	var notes []string
	if held := d.sweep.Held(); held != "" {
		notes = append(notes, held)
	}
	if d.peers.standsAside() {
		notes = append(notes, "this node is drained: what is new goes to others")
	}
	if note := d.peers.certificateNote(time.Now()); note != "" {
		notes = append(notes, note)
	}
	for _, node := range d.peers.unreachable() {
		notes = append(notes, fmt.Sprintf("node %s does not answer this one: what lies on its disk cannot be had here; the log says why", node))
	}
	return notes
}

// notReady lists why the daemon cannot do its work now.
func (d *Daemon) notReady(ctx context.Context) []string {
	var why []string
	if err := d.in.DB.Ping(ctx); err != nil {
		d.log.Error("the database does not answer", "err", err)
		why = append(why, "the database does not answer")
	}
	why = append(why, d.stores.Unready(ctx)...)
	for name, st := range d.in.Stores {
		if space, ok := st.SpaceReporter(); ok {
			if free, err := space.Free(ctx); err == nil && free < minFree {
				why = append(why, "store "+name+" is full")
			}
		}
	}
	return why
}

// minFree is the room below which a store counts as full in /readyz: what the
// writers of one upload may hold unsynced.
const minFree = 64 << 20
