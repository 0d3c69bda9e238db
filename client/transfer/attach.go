package transfer

import (
	"cmp"
	"context"
	"fmt"

	"github.com/osproxy/osproxy/protocol"
)

// attach looks for an earlier run of the same put on this machine.
func (p *put) attach(ctx context.Context) error {
	if p.req.Once != nil {
		return p.attachOnce(ctx)
	}
	if p.e.cfg.State == nil {
		return nil
	}
	path, err := absolute(p.req.Path)
	if err != nil {
		return err
	}
	find := p.e.cfg.State.Find
	if p.small() {
		find = p.e.left
	}
	found, err := find(p.caps.ServerID, DirectionPut, path, p.req.Name)
	if err != nil {
		return err
	}
	for _, t := range found {
		lease, t, err := p.e.cfg.State.lock(t.ID)
		switch {
		case err == nil:
			p.lease, p.record = lease, &t
			return p.continueRecord(ctx)
		case isKind(err, protocol.KindBusy):
			// Its upload is another run's: not to be found by begin either.
			p.fresh = true
		case !isKind(err, protocol.KindNotFound):
			return err
		}
	}
	return nil
}

// continueRecord asks the daemon for the upload of the transfer on disk.
func (p *put) continueRecord(ctx context.Context) error {
	p.record.Attempts++
	if err := p.lease.save(p.record); err != nil {
		return err
	}
	if p.record.Size != p.size {
		p.outgrown(p.record.Size)
		return p.abandon(ctx, p.record.UID)
	}
	up, err := p.getUpload(ctx, p.record.UID)
	switch {
	case isKind(err, protocol.KindNotFound):
		p.gone(p.record.UID)
		return nil
	case isKind(err, protocol.KindOwnerDown):
		p.away(p.record.UID)
		return nil
	case err != nil:
		return err
	}
	p.taken = true
	return p.adopt(up)
}

// attachOnce goes on with the upload that the request names, and with no other.
func (p *put) attachOnce(ctx context.Context) error {
	p.fresh, p.key = true, p.req.Once.Key
	uid := p.req.Once.UID
	if uid == 0 {
		return nil
	}
	if err := p.leaseUID(uid); err != nil {
		return err
	}
	up, err := p.getUpload(ctx, uid)
	switch {
	case isKind(err, protocol.KindNotFound):
		p.gone(uid)
		return nil
	case isKind(err, protocol.KindOwnerDown):
		p.away(uid)
		return nil
	case err != nil:
		return err
	case up.Size != nil && *up.Size != p.size && up.State == protocol.UploadOpen:
		p.outgrown(*up.Size)
		return p.abandon(ctx, uid)
	case up.Size != nil && *up.Size != p.size:
		return p.storedBefore(uid)
	}
	if err := p.adopt(up); err != nil {
		return err
	}
	p.taken, p.fixed = true, true
	if up.State == protocol.UploadCommitted {
		return nil
	}
	return p.remember()
}

// storedBefore is the end of a put whose earlier try stored what the file was
// then.
func (p *put) storedBefore(uid protocol.UID) error {
	stored := "an earlier try may have stored"
	if uid != 0 {
		stored = "an earlier try stored, as " + uid.String() + ","
	}
	return &protocol.Error{Kind: protocol.KindConflict, UID: uid,
		Message: fmt.Sprintf("%s what %s was then, and it has changed since; nothing was sent", stored, p.req.Path),
		Hint:    "Run it once more to store the file as it is now, as another one."}
}

// abandon gives up an upload that the file has outgrown. One that was
// committed is a File, and is left alone; one whose node is down ends by itself.
func (p *put) abandon(ctx context.Context, uid protocol.UID) error {
	err := p.e.retry(ctx, &p.tries, func(ctx context.Context) error {
		return p.e.cfg.Client.AbortUpload(ctx, uid)
	})
	if err != nil && !isKind(err, protocol.KindNotFound, protocol.KindCommitted, protocol.KindOwnerDown) {
		return err
	}
	p.beginAnew(uid, Restarted)
	return nil
}

// outgrown and gone say why the file is sent from the beginning; the latter has
// that done.
func (p *put) outgrown(size int64) {
	p.e.cfg.Warn(fmt.Sprintf("%s had %d bytes when its put began and has %d now; it is sent from the beginning", p.req.Path, size, p.size))
}

func (p *put) gone(uid protocol.UID) {
	p.e.cfg.Warn(fmt.Sprintf("the daemon no longer has upload %s of %s; it is sent from the beginning", uid, p.req.Path))
	p.beginAnew(uid, Restarted)
}

// away is of an upload whose node does not come back for as long as requests are
// repeated: what was sent there is sent again, to another.
func (p *put) away(uid protocol.UID) {
	p.e.cfg.Warn(fmt.Sprintf("the node that has upload %s of %s is down; the file is sent from the beginning, and that upload ends by itself", uid, p.req.Path))
	p.beginAnew(uid, Restarted)
}

// beginAnew forgets the upload uid, but not the transfer: its id goes on to
// name this put.
func (p *put) beginAnew(uid protocol.UID, outcome Outcome) {
	if p.req.Once != nil {
		// The old key would give the old upload. A new one that every try would
		// come to gives them all the same next one.
		p.key = p.req.Once.Key + "-" + uid.String()
	}
	p.up, p.taken, p.sums, p.fresh, p.warned = protocol.Upload{}, false, nil, true, false
	p.useful.Store(0)
	p.item.restart()
	p.res.Outcome, p.res.ResumedBytes = outcome, 0
}

func (p *put) getUpload(ctx context.Context, uid protocol.UID) (up protocol.Upload, err error) {
	err = p.e.retry(ctx, &p.tries, func(ctx context.Context) (err error) {
		up, err = p.e.cfg.Client.Upload(ctx, uid)
		return err
	})
	return up, err
}

// adopt takes an upload over if it can be this file's.
func (p *put) adopt(up protocol.Upload) error {
	if up.Size != nil && *up.Size != p.size {
		return &protocol.Error{Kind: protocol.KindConflict, UID: up.UID,
			Message: fmt.Sprintf("upload %s is for %d bytes, %s has %d; nothing was sent", up.UID, *up.Size, p.req.Path, p.size),
			Hint:    "Put the file anew: osp put " + p.req.Path}
	}
	layout := protocol.Layout{Size: p.size, PartSize: up.PartSize}
	if err := layout.Check(); err != nil {
		return &protocol.Error{Kind: protocol.KindInternal, UID: up.UID, Message: "the daemon cut the upload into impossible parts", Err: err}
	}
	if up.State == protocol.UploadCommitted && up.File == nil {
		return protocol.Errorf(protocol.KindInternal, "the daemon calls upload %s committed but shows no file", up.UID)
	}
	p.up = up
	p.sums = make([]protocol.XXH3, layout.Count())
	return nil
}

func (p *put) layout() protocol.Layout {
	return protocol.Layout{Size: p.size, PartSize: p.up.PartSize}
}

// begin makes an upload, or has the daemon find the one of an earlier run
// that this machine does not remember.
func (p *put) begin(ctx context.Context) error {
	fp, err := p.fingerprint()
	if err != nil {
		return err
	}
	if err := p.foreknow(ctx); err != nil {
		return err
	}
	if err := p.await(ctx, fp); err != nil {
		return err
	}
	b := protocol.BeginUpload{Name: p.req.Name, Size: &p.size, Fingerprint: &fp, Meta: p.req.Meta,
		ExpiresAt: p.req.ExpiresAt, Resume: !p.fresh}
	if p.req.MediaType != "" {
		b.MediaType = &p.req.MediaType
	}
	up, found, err := p.e.begin(ctx, &p.tries, b, p.newKey())
	if err == nil && found && up.State == protocol.UploadOpen && len(up.Parts) == 0 {
		// Nothing to gain, and it may be of a run that began this moment,
		// with which this one would end up sharing a File.
		b.Resume = false
		up, found, err = p.e.begin(ctx, &p.tries, b, p.newKey())
	}
	if err != nil {
		return p.keyUsed(err)
	}
	p.taken = found
	if err := p.adopt(up); err != nil {
		return err
	}
	if up.Maybe {
		p.passTurn()
	}
	if p.req.Once != nil {
		if err := p.req.Once.Begun(up.UID); err != nil {
			return err
		}
	}
	return p.remember()
}

// newKey is the idempotency key of the request that makes the File or begins
// the upload.
func (p *put) newKey() string { return cmp.Or(p.key, string(newID())) }

// keyUsed words that the key was used for other bytes.
func (p *put) keyUsed(err error) error {
	if p.req.Once != nil && isKind(err, protocol.KindIdempotencyMismatch) {
		return p.storedBefore(0)
	}
	return err
}

// begin is POST /v1/uploads, with one idempotency key for all tries.
func (e *Engine) begin(ctx context.Context, t *tries, b protocol.BeginUpload, key string) (up protocol.Upload, found bool, err error) {
	err = e.retry(ctx, t, func(ctx context.Context) (err error) {
		up, found, err = e.cfg.Client.BeginUpload(ctx, b, key)
		return err
	})
	return up, found, err
}

// remember writes the transfer to disk before the first part is sent.
func (p *put) remember() error {
	if p.e.cfg.State == nil {
		return nil
	}
	path, err := absolute(p.req.Path)
	if err != nil {
		return err
	}
	t := Transfer{Kind: DirectionPut, ServerID: p.caps.ServerID, Server: p.e.cfg.Client.Server(), UID: p.up.UID,
		Path: path, Name: p.req.Name, Size: p.size, Stamp: &p.local.stamp,
		MediaType: p.req.MediaType, Meta: p.req.Meta, ExpiresAt: p.req.ExpiresAt, Attempts: 1}
	if p.lease == nil {
		p.record = &t
		p.lease, err = p.e.cfg.State.create(&t, true)
		return err
	}
	t.V, t.ID, t.Created, t.Attempts = p.record.V, p.record.ID, p.record.Created, p.record.Attempts
	p.record = &t
	return p.lease.save(&t)
}

// forget drops the transfer from disk; there is nothing left to resume.
func (p *put) forget() error {
	if p.lease == nil {
		return nil
	}
	return p.lease.forget()
}
