package transfer

import (
	"context"
	"os"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// get is one run of one get: what it shares with cat is in fetch.go.
type get struct {
	e     *Engine
	req   GetRequest
	begun time.Time
	fetch fetch
	res   Result

	// name is where the target lies below req.In, as a stored name; "" is the
	// File's own.
	name   string
	target target
	lease  *lease
	record *Transfer
	// part is the name of the part file, beside the target's.
	part  string
	f     *os.File
	blank bool // the part file was made by this run
	// loose is f while it has no name, nil where there is a part file.
	loose *unnamed
}

// Get downloads one File into a part file beside its target, verifies each
// block as it lands, fetching damaged ones again, and then renames. A get of
// the same File to the same target that did not end is continued with the
// blocks that are there and match.
//
// A target that has the File's content already is AlreadyComplete; for one
// with other content see IfExists. Blocks that stay damaged are KindIntegrity,
// and nothing is left of the get then. While the File's digest is not known it
// is KindDigestPending, unless NoVerify.
func (e *Engine) Get(ctx context.Context, req GetRequest) (Result, error) {
	defer req.Place.leave()
	g := e.newGet(req)
	return g.conclude(ctx, g.run(ctx, g.attach))
}

func (e *Engine) resumeGet(ctx context.Context, l *lease, t *Transfer) (Result, error) {
	g := e.newGet(GetRequest{UID: t.UID, Path: t.Path, IfExists: t.IfExists, NoVerify: t.NoVerify, SHA256: t.SHA256})
	g.lease, g.record = l, t
	if t.Below != "" {
		in, err := OpenTree(t.Below)
		if err != nil {
			return g.conclude(ctx, err)
		}
		defer in.Close()
		g.req.In, g.name = in, t.Name
	}
	return g.conclude(ctx, g.run(ctx, func(ctx context.Context) error {
		caps, err := e.capabilities(ctx, &g.fetch.tries)
		if err != nil {
			return err
		}
		return sameServer(caps, t)
	}))
}

func (e *Engine) newGet(req GetRequest) *get {
	return &get{e: e, req: req, begun: time.Now(), fetch: fetch{e: e, item: e.cfg.Progress.begin()},
		res: Result{UID: req.UID, Path: req.Path, Outcome: Failed}}
}

// run asks for the File, has attach look for an earlier run, and downloads
// unless nothing needs to be done.
func (g *get) run(ctx context.Context, attach func(context.Context) error) error {
	if err := g.locate(ctx); err != nil {
		return err
	}
	if err := g.req.Place.wait(ctx, g.target.path()); err != nil {
		return err
	}
	if err := attach(ctx); err != nil {
		return err
	}
	outcome, err := g.decide(ctx)
	if err != nil {
		return err
	}
	if outcome != "" {
		g.res.Outcome = outcome
		return g.drop()
	}
	return g.download(ctx)
}

// locate asks for the File and finds out where it goes.
func (g *get) locate(ctx context.Context) (err error) {
	f, err := g.ask(ctx)
	if err != nil {
		return err
	}
	g.fetch.file = f
	g.res.Name, g.res.Size, g.res.Digest = f.Name, f.Size, f.Digest
	if err := g.fetch.knownOther(g.req.SHA256); err != nil {
		return err
	}
	if err := g.aim(f); err != nil {
		return err
	}
	g.res.Path = g.target.path()
	g.fetch.item.called(f.Name)
	g.fetch.item.grow(f.Size)
	return nil
}

// ask is what is known of the File: what the caller knows, or the daemon.
func (g *get) ask(ctx context.Context) (protocol.File, error) {
	if g.req.File != nil {
		return *g.req.File, protocol.CheckSize(g.req.File.Size)
	}
	return g.e.file(ctx, &g.fetch.tries, g.req.UID)
}

// aim finds the target.
func (g *get) aim(f protocol.File) (err error) {
	if g.req.In == nil {
		g.target, err = openTarget(g.req.Path, f.Name)
		return err
	}
	if g.name == "" {
		g.name = f.Name
	}
	g.target, err = g.req.In.target(g.name)
	return err
}

// decide is the outcome when what lies at the target decides it, else "".
func (g *get) decide(ctx context.Context) (Outcome, error) {
	found, err := g.target.look(ctx, g.fetch.file)
	switch {
	case err != nil || found == existsNot:
		return "", err
	case found == existsSame:
		if err := g.checkExisting(ctx); err != nil {
			return "", err
		}
		g.fetch.item.held(g.fetch.file.Size)
		g.res.ResumedBytes, g.res.Verified = g.fetch.file.Size, true
		return AlreadyComplete, nil
	case g.req.IfExists == ExistsSkip:
		return Skipped, nil
	case g.req.IfExists == ExistsOverwrite:
		return "", nil
	}
	return "", alreadyThere(g.target.path())
}

// checkExisting holds a target that is complete to the SHA-256 that the caller
// named.
func (g *get) checkExisting(ctx context.Context) error {
	if g.req.SHA256 == "" {
		return nil
	}
	f, err := g.target.root.Open(g.target.name)
	if err != nil {
		return g.target.failed("open "+g.target.path(), err)
	}
	defer f.Close()
	return g.checkSum(ctx, f, g.target.path()+" has the content of the file, and", "it was left as it is")
}

// attach looks for an earlier run of the same get on this machine.
func (g *get) attach(ctx context.Context) error {
	if g.e.cfg.State == nil {
		return nil
	}
	caps, err := g.e.capabilities(ctx, &g.fetch.tries)
	if err != nil {
		return err
	}
	find := g.e.cfg.State.Find
	if g.oneBlock() {
		find = g.e.left
	}
	found, err := find(caps.ServerID, DirectionGet, g.target.path(), g.fetch.file.Name)
	if err != nil {
		return err
	}
	for _, t := range found {
		if t.UID != g.req.UID {
			continue
		}
		lease, t, err := g.e.cfg.State.lock(t.ID)
		switch {
		case err == nil:
			g.lease, g.record = lease, &t
			return nil
		case !isKind(err, protocol.KindBusy, protocol.KindNotFound):
			return err
		}
	}
	return nil
}

// File asks for what is known of a file.
func (e *Engine) File(ctx context.Context, uid protocol.UID) (protocol.File, error) {
	f, err := e.file(ctx, new(tries), uid)
	if err != nil {
		return f, own(ctx, err)
	}
	return f, nil
}

// file is GET /v1/files/{uid}.
func (e *Engine) file(ctx context.Context, t *tries, uid protocol.UID) (f protocol.File, err error) {
	err = e.retry(ctx, t, func(ctx context.Context) (err error) {
		f, err = e.cfg.Client.File(ctx, uid)
		return err
	})
	if err == nil {
		err = protocol.CheckSize(f.Size)
	}
	return f, err
}
