package transfer

import (
	"context"
	"errors"

	"github.com/osproxy/osproxy/protocol"
)

// claim makes the upload a File without sending its bytes, where the daemon
// said that it may have them: the digest names the content, and a proof over
// ranges that the daemon chooses shows that this machine holds it (WIRE 7).
// What claim gives is false where the file is to be sent as any other.
//
// Nothing is hashed unless the daemon said maybe, nor once it holds parts: an
// earlier run's claim was refused then, and most of the file may be there.
func (p *put) claim(ctx context.Context) (bool, error) {
	if !p.up.Maybe || p.size == 0 || len(p.up.Parts) > 0 {
		return false, nil
	}
	digest, err := p.digest(ctx)
	if err != nil {
		return false, err
	}
	f, err := p.prove(ctx, digest)
	switch {
	case declined(err):
		p.res.ClaimRefused = true
		return false, nil
	case err != nil:
		return false, err
	case f.Size != p.size || f.Digest == nil || *f.Digest != digest:
		return false, &protocol.Error{Kind: protocol.KindIntegrity, UID: f.UID,
			Message: "the daemon accepted the claim of " + digest.String() + " and gave a file with other content"}
	}
	if err := p.keep(ctx, f); err != nil {
		return false, err
	}
	p.res.Outcome, p.res.InstantBytes = Instant, p.size
	p.item.claimed(p.size)
	return true, nil
}

// digest is that of the whole file, which did not change meanwhile. What was
// hashed before, and was not touched since, is not hashed again.
func (p *put) digest(ctx context.Context) (protocol.Digest, error) {
	if p.whole != nil && !p.local.touched() {
		return *p.whole, p.local.unchanged()
	}
	defer p.item.hashed()
	digest, err := p.local.digest(ctx, p.item.hashing)
	if err == nil {
		err = p.summed()
	}
	if err == nil {
		err = p.local.unchanged()
	}
	if err == nil {
		p.whole = &digest
	}
	return digest, err
}

// prove is both rounds of the claim. They hold one connection of the budget
// together, since the nonce does not live long. When the second answer is lost
// its request is repeated as it was, and so is accepted if it was before.
func (p *put) prove(ctx context.Context, digest protocol.Digest) (f protocol.File, err error) {
	var nonce string
	var proof [32]byte
	var refusal error
	err = p.e.retry(ctx, &p.tries, func(ctx context.Context) (err error) {
		if nonce == "" {
			var ch protocol.Challenge
			if ch, err = p.e.cfg.Client.StartClaim(ctx, p.up.UID, digest); err == nil {
				proof, err = p.answer(ch, digest)
			}
			if err == nil {
				nonce = ch.Nonce
			}
		}
		if err == nil {
			f, err = p.e.cfg.Client.FinishClaim(ctx, p.up.UID, nonce, proof)
		}
		if declined(err) { // 429 among them: waiting would take longer than sending
			refusal = err
			return nil
		}
		return err
	})
	if err == nil {
		err = refusal
	}
	return f, err
}

// answer computes the proof that the challenge asks for. A challenge that no
// daemon gives is KindClaimRefused.
func (p *put) answer(ch protocol.Challenge, digest protocol.Digest) ([32]byte, error) {
	nonce, err := protocol.ParseNonce(ch.Nonce)
	if err != nil {
		return [32]byte{}, &protocol.Error{Kind: protocol.KindClaimRefused, Message: "the daemon's challenge cannot be answered", Err: err}
	}
	proof, err := protocol.Proof(nonce, p.up.UID, p.size, digest, ch.Ranges, p.local.f)
	if err != nil {
		return proof, p.local.readError(err)
	}
	return proof, p.local.unchanged()
}

// declined reports whether the daemon heard the claim and does not take it, for
// whatever reason: a short cut that is closed must not end a put that can go the
// long way. Where the daemon cannot be reached, or knows no such upload, the
// long way is closed too.
func declined(err error) bool {
	own, ok := errors.AsType[*protocol.Error](err)
	if !ok || own.Kind.Row().Status == 0 || own.Kind == protocol.KindNotFound {
		return false
	}
	return own.Kind == protocol.KindRateLimited || !own.Kind.Row().Retryable
}
