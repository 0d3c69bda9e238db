package transfer

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// The methods that begin with Would find out what those without it would do,
// and change nothing, here or at the daemon: they read the file, the
// transfers of this machine, and what the daemon knows. Result.Would says it; the
// outcome is Skipped. An error is what the real one would end with, as far as
// that can be told beforehand.

// WouldPut is Put without doing it. Would is Uploaded; Instant where the hint says
// that the daemon may have the content, though a claim of it can fail; Resumed,
// with the UID of the upload it would go on with; or Restarted.
func (e *Engine) WouldPut(ctx context.Context, req PutRequest) (Result, error) {
	p, err := e.newPut(req)
	if err == nil {
		defer p.local.close()
		err = p.foresee(ctx)
	}
	return foreseen(ctx, p.item, p.begun, p.res, err)
}

// WouldPutStream is PutStream without reading the stream.
func (e *Engine) WouldPutStream(ctx context.Context, req PutRequest) (Result, error) {
	begun, item := time.Now(), e.cfg.Progress.begin()
	err := protocol.CheckName(req.Name)
	if err == nil {
		_, err = e.capabilities(ctx, new(tries))
	}
	return foreseen(ctx, item, begun, Result{Path: req.Path, Name: req.Name, Would: Uploaded}, err)
}

// WouldGet is Get without doing it. Would is Downloaded, Resumed, or what lies at
// the target decides: AlreadyComplete or Skipped.
func (e *Engine) WouldGet(ctx context.Context, req GetRequest) (Result, error) {
	g := e.newGet(req)
	err := g.foresee(ctx)
	g.target.close()
	return foreseen(ctx, g.fetch.item, g.begun, g.res, err)
}

// WouldCat is Cat without reading the content.
func (e *Engine) WouldCat(ctx context.Context, req CatRequest) (Result, error) {
	begun, f := time.Now(), &fetch{e: e, item: e.cfg.Progress.begin()}
	var err error
	f.file, err = e.file(ctx, &f.tries, req.UID)
	if err == nil {
		err = f.knownOther(req.SHA256)
	}
	if err == nil && !req.NoVerify {
		err = f.pending()
	}
	return foreseen(ctx, f.item, begun, Result{UID: req.UID, Name: f.file.Name, Size: f.file.Size,
		Digest: f.file.Digest, Would: Downloaded}, err)
}

// WouldRemove is Remove without doing it.
func (e *Engine) WouldRemove(ctx context.Context, uid protocol.UID) (Result, error) {
	begun, item := time.Now(), e.cfg.Progress.begin()
	f, err := e.file(ctx, new(tries), uid)
	return foreseen(ctx, item, begun, Result{UID: uid, Name: f.Name, Size: f.Size, Digest: f.Digest, Would: Deleted}, err)
}

// foreseen is the end of each.
func foreseen(ctx context.Context, it *item, begun time.Time, res Result, err error) (Result, error) {
	it.end(false) // nothing of it is to come
	res.Elapsed = time.Since(begun)
	if err != nil {
		res.Outcome, res.Would = Failed, ""
		return res, own(ctx, err)
	}
	res.Outcome, res.ResumedBytes = Skipped, 0
	return res, nil
}

func (p *put) foresee(ctx context.Context) (err error) {
	if p.caps, err = p.e.capabilities(ctx, &p.tries); err != nil {
		return err
	}
	if p.caps.MaxSize > 0 && p.size > p.caps.MaxSize {
		return protocol.Errorf(protocol.KindTooLarge, "%d bytes are more than the %d the daemon takes", p.size, p.caps.MaxSize)
	}
	p.res.Would = Uploaded
	if h := p.hint(); h != nil && h.Maybe {
		p.res.Would = Instant
	}
	if p.req.Once != nil {
		return p.foreseeOnce(ctx)
	}
	path, err := absolute(p.req.Path)
	if err != nil || p.e.cfg.State == nil {
		return err
	}
	found, err := p.e.left(p.caps.ServerID, DirectionPut, path, p.req.Name)
	if err != nil || len(found) == 0 {
		return err
	}
	t := found[0]
	p.res.Would, p.res.Transfer = Restarted, t.ID
	if t.Size != p.size {
		return nil
	}
	_, err = p.getUpload(ctx, t.UID)
	if isKind(err, protocol.KindNotFound, protocol.KindOwnerDown) {
		return nil
	}
	p.res.Would, p.res.UID = Resumed, t.UID
	return err
}

// foreseeOnce is foresee of a put that knows which upload an earlier try began.
func (p *put) foreseeOnce(ctx context.Context) error {
	uid := p.req.Once.UID
	if uid == 0 {
		return nil
	}
	up, err := p.getUpload(ctx, uid)
	other := up.Size != nil && *up.Size != p.size
	switch {
	case isKind(err, protocol.KindNotFound, protocol.KindOwnerDown), err == nil && other && up.State == protocol.UploadOpen:
		p.res.Would = Restarted
		return nil
	case err == nil && other:
		return p.storedBefore(uid)
	}
	p.res.Would, p.res.UID = Resumed, uid
	return err
}

func (g *get) foresee(ctx context.Context) error {
	if err := g.locate(ctx); err != nil {
		return err
	}
	decided, err := g.decide(ctx)
	if err != nil {
		return err
	}
	if decided != "" {
		g.res.Would = decided
		return nil
	}
	if err := g.fetch.pending(); err != nil && !g.req.NoVerify {
		return err
	}
	g.res.Would = Downloaded
	if g.e.cfg.State == nil {
		return nil
	}
	caps, err := g.e.capabilities(ctx, &g.fetch.tries)
	if err != nil {
		return err
	}
	found, err := g.e.left(caps.ServerID, DirectionGet, g.target.path(), g.fetch.file.Name)
	for _, t := range found {
		if t.UID == g.req.UID {
			g.res.Would, g.res.Transfer = Resumed, t.ID
			break
		}
	}
	return err
}
