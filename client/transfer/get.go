package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/osproxy/osproxy/client"
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

// oneBlock: one request brings the whole file, so that there is nothing to go
// on with.
func (g *get) oneBlock() bool { return g.fetch.file.Size <= protocol.BlockSize }

// remember writes the transfer to disk before the first byte is asked for.
func (g *get) remember(ctx context.Context) (err error) {
	if g.lease != nil {
		g.record.Attempts++
		g.record.IfExists, g.record.NoVerify, g.record.SHA256 = g.req.IfExists, g.req.NoVerify, g.req.SHA256
		g.part = partPath(g.target.name, g.record.ID)
		g.record.Target = g.target.pathOf(g.part)
		return g.lease.save(g.record)
	}
	id := newID()
	g.part = partPath(g.target.name, id)
	if g.e.cfg.State == nil {
		return nil
	}
	caps, err := g.e.capabilities(ctx, &g.fetch.tries)
	if err != nil {
		return err
	}
	g.record = &Transfer{ID: id, Kind: DirectionGet, ServerID: caps.ServerID, Server: g.e.cfg.Client.Server(), UID: g.req.UID,
		Path: g.target.path(), Name: g.fetch.file.Name, Size: g.fetch.file.Size, Target: g.target.pathOf(g.part),
		Below: g.req.In.path(), IfExists: g.req.IfExists, NoVerify: g.req.NoVerify, SHA256: g.req.SHA256, Attempts: 1}
	g.lease, err = g.e.cfg.State.create(g.record, !g.oneBlock())
	return err
}

// download fills the part file and makes it the target.
func (g *get) download(ctx context.Context) error {
	if err := g.target.prepare(); err != nil {
		return err
	}
	if g.openLoose(); g.loose != nil {
		defer g.loose.close()
	} else if err := g.remember(ctx); err != nil {
		return err
	}
	if !g.req.NoVerify {
		if err := g.fetch.askSums(ctx); err != nil {
			return err
		}
	}
	if g.loose == nil {
		if err := g.open(); err != nil {
			return err
		}
		defer g.f.Close()
	}
	missing, err := g.missing(ctx)
	if err != nil {
		return err
	}
	if err := g.fetchAll(ctx, missing); err != nil {
		return err
	}
	return g.finish(ctx)
}

// openLoose opens a file without a name for what one request brings, where
// nothing is to be gone on with or replaced: there is then nothing to remember,
// and nothing is left by a run that is killed.
func (g *get) openLoose() {
	if g.lease != nil || !g.oneBlock() || g.req.IfExists == ExistsOverwrite {
		return
	}
	if g.loose = g.e.loose(g.target); g.loose != nil {
		g.f, g.blank = g.loose.File, true
	}
}

// open makes the part file, or opens the one of an earlier run, and gives it
// its full length.
func (g *get) open() (err error) {
	path := g.target.pathOf(g.part)
	_, err = g.target.root.Lstat(g.part)
	g.blank = errors.Is(err, fs.ErrNotExist)
	if g.f, err = g.target.root.OpenFile(g.part, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return g.target.failed("make "+path, err)
	}
	if err := g.f.Truncate(g.fetch.file.Size); err != nil {
		g.f.Close()
		return localError("make room for "+g.target.path(), err)
	}
	return nil
}

// missing are the blocks the part file does not hold. In a blank one none is
// looked for, and without their digests none can be told to be there.
func (g *get) missing(ctx context.Context) ([]int, error) {
	size := g.fetch.file.Size
	if g.blank || g.fetch.sums == nil {
		all := make([]int, protocol.BlockCount(size))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	missing, err := missingBlocks(ctx, g.f, size, g.fetch.sums)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, localError("check "+g.target.pathOf(g.part), err)
	}
	held := size
	for _, i := range missing {
		_, n := blockRange(size, i)
		held -= n
	}
	g.fetch.item.held(held)
	g.res.ResumedBytes = held
	return missing, nil
}

func (g *get) fetchAll(ctx context.Context, missing []int) error {
	runs := plan(missing, g.e.cfg.PartsPerFile)
	return parallel(ctx, g.e.cfg.PartsPerFile, len(runs), func(ctx context.Context, buf []byte, i int) error {
		return g.fetch.run(ctx, runs[i], &partSink{g: g, buf: buf, early: len(runs) > 1})
	})
}

// partSink is a sink that writes to the part file.
type partSink struct {
	g     *get
	buf   []byte
	early bool // each block begins its way to the disk when it has come
}

func (s *partSink) room(_, n int64) []byte { return s.buf[:min(n, int64(len(s.buf)))] }

func (s *partSink) fill(p []byte, off int64) error {
	if _, err := s.g.f.WriteAt(p, off); err != nil {
		return localError("write what is to be "+s.g.target.path(), err)
	}
	if end := off + int64(len(p)); s.early && end%protocol.BlockSize == 0 {
		beginWriteback(s.g.f, end-protocol.BlockSize, protocol.BlockSize)
	}
	return nil
}

// finish makes the part file durable and then the target.
func (g *get) finish(ctx context.Context) error {
	if err := g.settlePart(ctx); err != nil {
		return err
	}
	if err := g.publish(); err != nil {
		return err
	}
	g.res.Outcome, g.res.Verified = Downloaded, g.fetch.verify
	if g.res.ResumedBytes > 0 {
		g.res.Outcome = Resumed
	}
	g.part = ""
	return g.drop()
}

// publish makes what was received the target.
func (g *get) publish() error {
	if g.loose != nil {
		named, err := g.e.folders.link(g.target, g.loose)
		if named || err != nil {
			return err
		}
		if err := g.copyLoose(); err != nil {
			return err
		}
	}
	if err := g.f.Close(); err != nil {
		return localError("write "+g.target.pathOf(g.part), err)
	}
	return g.e.folders.publish(g.target, g.part, g.req.IfExists == ExistsOverwrite)
}

// copyLoose makes a part file of a file without a name, which this file system
// has and cannot give one.
func (g *get) copyLoose() error {
	from := io.NewSectionReader(g.f, 0, g.fetch.file.Size)
	g.part = partPath(g.target.name, newID())
	if err := g.open(); err != nil {
		return err
	}
	_, err := io.Copy(g.f, from)
	if err = errors.Join(err, g.f.Sync()); err != nil {
		g.f.Close()
		return localError("write "+g.target.pathOf(g.part), err)
	}
	return nil
}

// drop removes the part file and the transfer.
func (g *get) drop() error {
	if err := g.dropPart(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return localError("remove what was received", err)
	}
	if g.lease == nil {
		return nil
	}
	return g.lease.forget()
}

// dropPart removes the part file of this run, or of an earlier one.
func (g *get) dropPart() error {
	switch {
	case g.part != "":
		return g.target.root.Remove(g.part)
	case g.record == nil:
		return nil
	case g.target.root != nil:
		return g.target.root.Remove(partPath(g.target.name, g.record.ID))
	}
	return os.Remove(g.record.Target)
}

// hopeless are the kinds that running again cannot mend: what was received
// is of no use then.
func hopeless(err error) bool {
	return isKind(err, protocol.KindIntegrity, protocol.KindContentCorrupt, protocol.KindNotFound,
		protocol.KindPreconditionFailed, protocol.KindDigestPending)
}

// conclude turns the run's end into its result.
func (g *get) conclude(ctx context.Context, err error) (Result, error) {
	defer g.target.close()
	g.fetch.item.end(err == nil)
	g.res.SentBytes = g.fetch.received.Load()
	g.res.Retries = g.fetch.tries.count()
	g.res.Elapsed = time.Since(g.begun)
	if err == nil {
		g.lease.release()
		return g.res, nil
	}
	g.res.Outcome, g.res.Verified = Failed, false
	if ctx.Err() == nil && hopeless(err) || g.lease == nil {
		if e := g.drop(); e != nil {
			g.e.cfg.Warn(fmt.Sprintf("what the get of %s left could not be removed: %s", g.req.UID, e))
		}
	}
	g.res.Transfer, err = failed(ctx, g.lease, g.record, g.broken(err))
	return g.res, err
}

// broken adds to an answer that broke off, each time it was asked for, what is
// here of the file.
func (g *get) broken(err error) error {
	e, ok := errors.AsType[*protocol.Error](err)
	if !ok || !errors.Is(err, client.ErrCut) {
		return err
	}
	c := *e
	switch here := g.res.ResumedBytes + g.fetch.whole.Load(); {
	case g.lease != nil && here > 0:
		c.Message += fmt.Sprintf("; %d of %d bytes of the file are here and kept", here, g.fetch.file.Size)
	default:
		c.Message += "; nothing of the file is here yet"
	}
	return &c
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
