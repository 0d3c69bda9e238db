package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/osproxy/osproxy/protocol"
)

const (
	// maxRestarts bounds how often one run begins an upload anew.
	maxRestarts = 3
	// maxRounds bounds how often one upload's parts are made to agree.
	maxRounds = 3
)

var (
	// errForeign: the upload was committed by another writer, with other
	// content.
	errForeign = errors.New("the upload became another writer's file")
	// errContended: another writer keeps replacing the parts that this one
	// sends, which can be while begin found the same upload for both.
	errContended = errors.New("another writer keeps replacing the parts")
)

// upload brings the parts to the daemon and commits them, on an upload that
// attach found or that begin makes. When the upload turns out to be gone, or
// another writer's, it begins anew.
func (p *put) upload(ctx context.Context) error {
	defer p.beginSum(ctx)()
	for restarts := 0; ; restarts++ {
		err := p.attempt(ctx)
		if err == nil || ctx.Err() != nil || restarts == maxRestarts || p.up.UID == 0 || p.fixed {
			return p.fixedEnd(err)
		}
		switch {
		case isKind(err, protocol.KindNotFound):
			p.e.cfg.Warn(fmt.Sprintf("the daemon no longer has upload %s of %s; it is sent from the beginning", p.up.UID, p.req.Path))
			p.beginAnew(p.up.UID, Restarted)
		case errors.Is(err, errForeign):
			p.e.cfg.Warn(fmt.Sprintf("%s was committed by another writer with other content; %s is sent as a file of its own", p.up.UID, p.req.Path))
			p.beginAnew(p.up.UID, Uploaded)
		case errors.Is(err, errContended) && !p.fresh:
			p.e.cfg.Warn(fmt.Sprintf("another writer sends other content to upload %s; %s is sent as a file of its own", p.up.UID, p.req.Path))
			p.beginAnew(p.up.UID, Uploaded)
		default:
			return err
		}
	}
}

// fixedEnd words that the upload is another writer's where no other may be
// begun.
func (p *put) fixedEnd(err error) error {
	if !errors.Is(err, errForeign) {
		return err
	}
	if p.req.Once != nil {
		return p.storedBefore(p.up.UID)
	}
	return &protocol.Error{Kind: protocol.KindConflict, UID: p.up.UID,
		Message: fmt.Sprintf("%s is committed already, with other content than %s; nothing was changed", p.up.UID, p.req.Path),
		Hint:    "Put the file anew: osp put " + p.req.Path}
}

// attempt is upload without beginning anew: a claim where the daemon may have
// the content, else parts and a commit.
func (p *put) attempt(ctx context.Context) error {
	if p.up.UID == 0 {
		if err := p.begin(ctx); err != nil {
			return err
		}
	}
	if p.up.State == protocol.UploadCommitted {
		return p.settle(ctx, *p.up.File)
	}
	if done, err := p.claim(ctx); done || err != nil {
		return err
	}
	wanted, err := p.compare(ctx)
	if err != nil {
		return err
	}
	err = p.sendParts(ctx, wanted)
	if err == nil {
		err = p.commit(ctx)
	}
	if !isKind(err, protocol.KindCommitted) {
		return err
	}
	up, err := p.getUpload(ctx, p.up.UID)
	if err != nil {
		return err
	}
	if up.State != protocol.UploadCommitted || up.File == nil {
		return protocol.Errorf(protocol.KindInternal, "the daemon called upload %s committed, then open", up.UID)
	}
	return p.settle(ctx, *up.File)
}

// compare hashes the parts the daemon holds as this machine has them, on all
// cores, and gives the numbers of those that are missing or differ.
func (p *put) compare(ctx context.Context) ([]protocol.PartNumber, error) {
	held := p.heldParts()
	var numbers []protocol.PartNumber
	for n := range held {
		numbers = append(numbers, n)
	}
	layout := p.layout()
	err := parallel(ctx, workers(), len(numbers), func(ctx context.Context, buf []byte, i int) error {
		off, length, err := layout.Range(numbers[i])
		if err != nil {
			return err
		}
		p.sums[numbers[i]-1], err = p.local.sum(ctx, off, length, buf)
		return err
	})
	if err != nil {
		return nil, err
	}
	wanted, differ, same := p.wanted(held)
	p.item.held(same)
	p.res.ResumedBytes += same
	if same > 0 && p.res.Outcome == Uploaded {
		p.res.Outcome = Resumed
	}
	if differ > 0 && !p.warned {
		p.warned = true
		p.e.cfg.Warn(fmt.Sprintf("%s changed since its put began: %d of the %d parts the daemon holds differ and are sent again",
			p.req.Path, differ, len(held)))
	}
	return wanted, nil
}

// heldParts are the daemon's parts that lie where this file's parts lie.
func (p *put) heldParts() map[protocol.PartNumber]protocol.Part {
	layout := p.layout()
	held := make(map[protocol.PartNumber]protocol.Part, len(p.up.Parts))
	for _, part := range p.up.Parts {
		off, length, err := layout.Range(part.Number)
		if err == nil && part.Offset == off && part.Length == length {
			held[part.Number] = part
		}
	}
	return held
}

// wanted are the parts to send, in order, how many of the held ones differ,
// and how many bytes of them are the same.
func (p *put) wanted(held map[protocol.PartNumber]protocol.Part) (wanted []protocol.PartNumber, differ int, same int64) {
	for i := range p.sums {
		n := protocol.PartNumber(i + 1)
		part, ok := held[n]
		switch {
		case ok && part.XXH3 == p.sums[i]:
			same += part.Length
			continue
		case ok:
			differ++
		}
		wanted = append(wanted, n)
	}
	return wanted, differ, same
}

func (p *put) sendParts(ctx context.Context, numbers []protocol.PartNumber) error {
	return parallel(ctx, p.e.cfg.PartsPerFile, len(numbers), func(ctx context.Context, buf []byte, i int) error {
		return p.sendPart(ctx, numbers[i], buf)
	})
}

// sendPart reads the part once to hash it and once to send it; the second
// time it comes from the page cache. It is hashed again only when the daemon
// found another hash.
func (p *put) sendPart(ctx context.Context, n protocol.PartNumber, buf []byte) error {
	off, length, err := p.layout().Range(n)
	if err != nil {
		return err
	}
	sum := &p.sums[n-1]
	if *sum, err = p.local.sum(ctx, off, length, buf); err != nil {
		return err
	}
	return p.e.retry(ctx, &p.tries, func(ctx context.Context) error {
		f, err := p.local.open()
		if err != nil {
			return err
		}
		b, err := newFileBody(f, off, length)
		if err != nil {
			return p.local.readError(err)
		}
		err = p.send(ctx, n, b, length, *sum)
		if err == nil || ctx.Err() != nil {
			return err
		}
		// A failure may be the doing of a file that changes or shrinks.
		if changed := p.local.unchanged(); changed != nil {
			return changed
		}
		if isKind(err, protocol.KindChecksumMismatch) {
			var e error
			if *sum, e = p.local.sum(ctx, off, length, buf); e != nil {
				return e
			}
		}
		return err
	})
}

// send makes one part request and counts what it moved.
func (p *put) send(ctx context.Context, n protocol.PartNumber, b body, length int64, sum protocol.XXH3) error {
	end := p.item.watch(b.sent)
	part, err := p.e.cfg.Client.PutPart(ctx, p.up.UID, n, b, length, sum)
	b.wait()
	moved := b.sent()
	p.sent.Add(moved)
	if err == nil && (part.XXH3 != sum || part.Length != length) {
		err = protocol.Errorf(protocol.KindIntegrity, "part %d was sent with XXH3 %s and the daemon recorded %s", n, sum, part.XXH3)
	}
	end(moved, err == nil)
	if err == nil {
		p.useful.Add(moved)
	}
	return err
}

// commit turns the upload into a File, if the file on this machine is still
// what was sent and the daemon holds exactly that.
func (p *put) commit(ctx context.Context) error {
	if err := p.summed(); err != nil {
		return err
	}
	for round := 0; ; round++ {
		if err := p.stillSame(ctx); err != nil {
			return err
		}
		sum := protocol.PartsXXH3(p.sums)
		c := protocol.CommitUpload{PartsXXH3: &sum}
		if p.up.Size == nil {
			c.Size = &p.size
		}
		f, repeated, err := p.e.commit(ctx, &p.tries, p.up.UID, c)
		switch {
		case err == nil && repeated:
			return p.settle(ctx, f)
		case err == nil:
			return p.keep(ctx, f)
		case !isKind(err, protocol.KindPartsDiffer, protocol.KindPartsMissing):
			return err
		case round == maxRounds:
			return fmt.Errorf("%w: %w", errContended, err)
		}
		if err := p.mend(ctx); err != nil {
			return err
		}
	}
}

// commit is POST …/commit.
func (e *Engine) commit(ctx context.Context, t *tries, uid protocol.UID, c protocol.CommitUpload) (f protocol.File, repeated bool, err error) {
	err = e.retry(ctx, t, func(ctx context.Context) (err error) {
		f, repeated, err = e.cfg.Client.Commit(ctx, uid, c)
		return err
	})
	return f, repeated, err
}

// mend sends what the daemon lost, or another writer replaced, since.
func (p *put) mend(ctx context.Context) error {
	up, err := p.getUpload(ctx, p.up.UID)
	if err != nil {
		return err
	}
	if up.State == protocol.UploadCommitted {
		return protocol.Errorf(protocol.KindCommitted, "upload %s was committed by another writer", up.UID)
	}
	p.up.Parts = up.Parts
	wanted, _, _ := p.wanted(p.heldParts())
	return p.sendParts(ctx, wanted)
}

// stillSame is KindLocalChanged when the file is not what was hashed. Where
// only its change time moved, hashing it again decides.
func (p *put) stillSame(ctx context.Context) error {
	if err := p.local.unchanged(); err != nil {
		return err
	}
	if !p.local.touched() {
		return nil
	}
	layout := p.layout()
	return parallel(ctx, workers(), len(p.sums), func(ctx context.Context, buf []byte, i int) error {
		off, length, err := layout.Range(protocol.PartNumber(i + 1))
		if err != nil {
			return err
		}
		sum, err := p.local.sum(ctx, off, length, buf)
		if err == nil && sum != p.sums[i] {
			err = p.local.changed("it was written to")
		}
		return err
	})
}

// settle decides whose a File is that was committed before: this put's, when
// an answer was lost or a run killed, or another writer's. Content tells.
func (p *put) settle(ctx context.Context, f protocol.File) error {
	if f.Digest == nil {
		return &protocol.Error{Kind: protocol.KindDigestPending, UID: f.UID,
			Message: fmt.Sprintf("%s was committed before, and its digest is not known yet, so whether it is this file cannot be said", f.UID),
			Hint:    "Try again in a while."}
	}
	if f.Size == p.size {
		digest, err := p.digest(ctx)
		if err != nil {
			return err
		}
		if digest == *f.Digest {
			return p.settled(ctx, f)
		}
	}
	return errForeign
}

// settled counts all that this run did not send as found held.
func (p *put) settled(ctx context.Context, f protocol.File) error {
	held := p.size - p.useful.Load() - p.res.ResumedBytes
	p.item.held(held)
	p.res.ResumedBytes += held
	if p.res.ResumedBytes > 0 && p.res.Outcome == Uploaded {
		p.res.Outcome = Resumed
	}
	return p.keep(ctx, f)
}

// keep ends the put with its File. An upload that an earlier run began has
// that run's metadata; what this one was given, and only that, is put in its
// place.
func (p *put) keep(ctx context.Context, f protocol.File) error {
	patch := patchFor(f, p.req)
	if p.taken && len(patch) > 0 {
		data, err := json.Marshal(patch)
		if err != nil {
			return err
		}
		err = p.e.retry(ctx, &p.tries, func(ctx context.Context) (err error) {
			f, err = p.e.cfg.Client.PatchFile(ctx, f.UID, data)
			return err
		})
		if err != nil {
			return err
		}
	}
	p.committed(f)
	return p.forget()
}

// patchFor is the merge patch (RFC 7396) that gives f what req names.
func patchFor(f protocol.File, req PutRequest) map[string]any {
	patch := map[string]any{}
	if req.MediaType != "" && (f.MediaType == nil || *f.MediaType != req.MediaType) {
		patch["media_type"] = req.MediaType
	}
	if req.ExpiresAt != nil && (f.ExpiresAt == nil || !f.ExpiresAt.Equal(protocol.TimeOf(req.ExpiresAt.Time).Time)) {
		patch["expires_at"] = req.ExpiresAt
	}
	if req.Meta != nil && !maps.Equal(f.Meta, req.Meta) {
		meta := map[string]any{}
		for k := range f.Meta {
			meta[k] = nil
		}
		for k, v := range req.Meta {
			meta[k] = v
		}
		patch["meta"] = meta
	}
	return patch
}
