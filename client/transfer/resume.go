package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/protocol"
)

// Resume continues a transfer that is on disk. While another osp works on it,
// it is KindBusy; a transfer of another daemon is KindUsage.
func (e *Engine) Resume(ctx context.Context, t Transfer) (Result, error) {
	res := Result{Path: t.Path, UID: t.UID, Name: t.Name, Size: t.Size, Outcome: Failed, Transfer: t.ID}
	if e.cfg.State == nil {
		return res, protocol.Errorf(protocol.KindUsage, "transfers are not remembered, so none can be resumed")
	}
	lease, record, err := e.cfg.State.lock(t.ID)
	if err != nil {
		return res, err
	}
	if record.Kind == DirectionGet {
		return e.resumeGet(ctx, lease, &record)
	}
	return e.resumePut(ctx, lease, &record)
}

func (e *Engine) resumePut(ctx context.Context, l *lease, t *Transfer) (Result, error) {
	p, err := e.newPut(PutRequest{Path: t.Path, Name: t.Name, MediaType: t.MediaType, Meta: t.Meta, ExpiresAt: t.ExpiresAt})
	p.lease, p.record = l, t
	p.res.UID = t.UID
	if err != nil {
		return p.conclude(ctx, err)
	}
	defer p.local.close()
	p.res.UID = 0
	return p.conclude(ctx, p.run(ctx, func(ctx context.Context) error {
		if err := sameServer(p.caps, t); err != nil {
			return err
		}
		return p.continueRecord(ctx)
	}))
}

func sameServer(caps protocol.Capabilities, t *Transfer) error {
	if caps.ServerID == t.ServerID {
		return nil
	}
	return &protocol.Error{Kind: protocol.KindUsage, Message: fmt.Sprintf("transfer %s belongs to another daemon, which was at %s", t.ID, t.Server),
		Hint: fmt.Sprintf("osp --server %s resume %s", t.Server, t.ID)}
}

// ResumeUID continues the upload uid with the file at path, though this
// machine may remember nothing of it: what the daemon holds is compared with
// the file. An upload that is committed already, and with this very content,
// is AlreadyComplete; with other content, or begun for another size, it is
// KindConflict. No other upload is begun.
func (e *Engine) ResumeUID(ctx context.Context, uid protocol.UID, path string) (Result, error) {
	p, err := e.newPut(PutRequest{Path: path, Name: uid.String()})
	p.res.UID, p.res.Name = uid, ""
	if err != nil {
		return p.conclude(ctx, err)
	}
	defer p.local.close()
	p.fixed = true
	return p.conclude(ctx, p.run(ctx, func(ctx context.Context) error { return p.attachUID(ctx, uid) }))
}

func (p *put) attachUID(ctx context.Context, uid protocol.UID) error {
	if err := p.leaseUID(uid); err != nil {
		return err
	}
	up, err := p.getUpload(ctx, uid)
	if isKind(err, protocol.KindOwnerDown) {
		return &protocol.Error{Kind: protocol.KindOwnerDown, UID: uid, Err: err, Hint: "osp resume " + uid.String() + " " + p.req.Path,
			Message: fmt.Sprintf("the node that has upload %s is down; it goes on there once that is back, and no other upload was begun: osp put %s sends the file anew, as another one", uid, p.req.Path)}
	}
	if err != nil {
		return err
	}
	if err := p.adopt(up); err != nil {
		return err
	}
	p.req.Name, p.req.Meta, p.res.Name = up.Name, up.Meta, up.Name
	if up.MediaType != nil {
		p.req.MediaType = *up.MediaType
	}
	if up.State == protocol.UploadCommitted {
		p.res.Outcome = AlreadyComplete
		return nil
	}
	return p.remember()
}

// leaseUID takes the transfer of the uid over, if this machine does remember
// one.
func (p *put) leaseUID(uid protocol.UID) error {
	if p.e.cfg.State == nil {
		return nil
	}
	all, _, err := p.e.cfg.State.List()
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.UID != uid || t.Kind != DirectionPut || t.ServerID != p.caps.ServerID {
			continue
		}
		lease, record, err := p.e.cfg.State.lock(t.ID)
		if isKind(err, protocol.KindNotFound) {
			continue
		}
		if err == nil {
			p.lease, p.record = lease, &record
			record.Attempts++
		}
		return err
	}
	return nil
}

// Remove deletes a File. One that is not found is KindNotFound, unless it was
// an earlier try of this very call that deleted it.
func (e *Engine) Remove(ctx context.Context, uid protocol.UID) (Result, error) {
	begun := time.Now()
	res := Result{UID: uid, Outcome: Deleted}
	var t tries
	calls := 0
	err := e.retry(ctx, &t, func(ctx context.Context) error {
		err := e.cfg.Client.DeleteFile(ctx, uid)
		calls++
		if calls > 1 && isKind(err, protocol.KindNotFound) {
			return nil
		}
		return err
	})
	res.Retries, res.Elapsed = t.count(), time.Since(begun)
	if err != nil {
		res.Outcome = Failed
		return res, own(ctx, err)
	}
	return res, nil
}
