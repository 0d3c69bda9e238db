package upload

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// challengeFor is how long a challenge can be answered (WIRE 7).
const challengeFor = 60 * time.Second

// Sampler reads the ranges of a content through blocks that are verified on
// the way, and gives them as a reader of nothing else. KindContentCorrupt:
// a block did not match; the damage is recorded.
type Sampler func(ctx context.Context, c meta.Content, ranges [][2]int64) (io.ReaderAt, error)

// maybe reports whether a claim could spare the caller the sending.
func (s *Service) maybe(ctx context.Context, owner protocol.Owner, size *int64, fp *protocol.Fingerprint) (bool, error) {
	if s.cfg.Instant == meta.ScopeOff || size == nil || *size == 0 || fp == nil {
		return false, nil
	}
	return s.db.MayHave(ctx, owner, s.cfg.Instant, *size, *fp)
}

// Probe reports for each item whether Begin would say maybe, by the same rule.
// Nothing is recorded. More than protocol.MaxProbeItems, and a size that Begin
// refuses, fail the whole.
func (s *Service) Probe(ctx context.Context, owner protocol.Owner, items []protocol.ProbeItem) ([]bool, error) {
	if len(items) > protocol.MaxProbeItems {
		return nil, &protocol.Error{Kind: protocol.KindTooLarge,
			Message: fmt.Sprintf("%d contents are asked for, at most %d can be at once", len(items), protocol.MaxProbeItems), Hint: "Ask in several requests."}
	}
	for i, it := range items {
		if err := s.checkSize(it.Size); err != nil {
			return nil, protocol.Errorf(protocol.KindOf(err), "item %d: %s", i+1, err)
		}
	}
	if s.cfg.Instant == meta.ScopeOff {
		return make([]bool, len(items)), nil
	}
	return s.db.MayHaveEach(ctx, owner, s.cfg.Instant, items)
}

// StartClaim is the first round of a claim: "I hold the content of this
// digest". The challenge is good for one answer within 60 s, to this upload
// alone; a new one takes the place of one given before. Whatever does not fit
// is KindClaimRefused, in one form. subject is who is held to the limit on
// failed proofs, see FinishClaim.
func (s *Service) StartClaim(ctx context.Context, owner protocol.Owner, uid protocol.UID, digest protocol.Digest, subject string) (protocol.Challenge, error) {
	up, err := s.db.Upload(ctx, owner, uid)
	if err != nil {
		return protocol.Challenge{}, err
	}
	if up.State != protocol.UploadOpen || !up.Maybe || up.Size == nil || s.cfg.Instant == meta.ScopeOff {
		return protocol.Challenge{}, refused(uid)
	}
	if err := s.failures.check(ctx, subject); err != nil {
		return protocol.Challenge{}, err
	}
	ranges, err := protocol.ClaimRanges(*up.Size, rand.Reader)
	if err != nil {
		return protocol.Challenge{}, oneAnswer(uid, err)
	}
	c := meta.Challenge{Digest: digest, Ranges: ranges, ExpiresAt: s.now().Add(challengeFor)}
	rand.Read(c.Nonce[:]) // never fails
	content, err := s.db.StartClaim(ctx, owner, uid, c, s.cfg.Instant)
	if err == nil && s.isDown(holder.All(s.cfg.Stores, content.Extents)) {
		err = refused(uid)
	}
	if err != nil {
		return protocol.Challenge{}, oneAnswer(uid, err)
	}
	return protocol.Challenge{Nonce: c.Nonce.String(), Ranges: ranges, ExpiresAt: protocol.TimeOf(c.ExpiresAt)}, nil
}

// FinishClaim is the second round: the proof that the caller can read the
// ranges of the challenge. The file is then committed on the content that is
// there. The same nonce and proof after a success give the same file while it
// lives. Text that is no nonce or no proof is KindBadRequest; everything else
// that fails is KindClaimRefused, in one form, and the caller goes on as a
// plain upload.
//
// A subject whose proofs failed too often within an hour is KindRateLimited. Where
// another node has the content the error is a *holder.Elsewhere, and the challenge
// is still to be answered there.
func (s *Service) FinishClaim(ctx context.Context, owner protocol.Owner, uid protocol.UID, nonce, proof, subject string) (protocol.File, error) {
	n, err := protocol.ParseNonce(nonce)
	if err != nil {
		return protocol.File{}, err
	}
	p, err := parseProof(proof)
	if err != nil {
		return protocol.File{}, err
	}
	// A caller who lost an answer asks again while the first request may
	// still be running.
	unlock, err := s.claims.Lock(ctx, string(owner)+"\x00"+uid.String())
	if err != nil {
		return protocol.File{}, err
	}
	defer unlock()
	if f, err := s.db.Claimed(ctx, owner, uid, n, p); err != nil || f != nil {
		if err != nil {
			return protocol.File{}, err
		}
		return *f, nil
	}
	f, err := s.prove(ctx, owner, uid, n, p, subject)
	if err != nil {
		return protocol.File{}, oneAnswer(uid, err)
	}
	s.sessions.forget(uid, 0)
	s.cfg.Observe("instant")
	s.cfg.Committed()
	s.cfg.Saved(f.Size)
	return f, nil
}

// prove checks the proof against the stored bytes and records the file.
func (s *Service) prove(ctx context.Context, owner protocol.Owner, uid protocol.UID, n protocol.Nonce, proof [32]byte, subject string) (protocol.File, error) {
	attempt, err := s.failures.begin(ctx, subject)
	if err != nil {
		return protocol.File{}, err
	}
	defer attempt.end()
	here := func(c meta.Content) error { return s.reached(uid, c) }
	c, content, err := s.db.TakeChallenge(ctx, owner, uid, n, s.cfg.Instant, here)
	if err != nil {
		return protocol.File{}, err
	}
	bytes, err := s.cfg.Sample(ctx, content, c.Ranges)
	if err != nil {
		return protocol.File{}, s.unreadable(ctx, uid, err)
	}
	want, err := protocol.Proof(n, uid, content.Size, c.Digest, c.Ranges, bytes)
	if err != nil {
		return protocol.File{}, s.unreadable(ctx, uid, err)
	}
	if !hmac.Equal(want[:], proof[:]) {
		attempt.fail()
		s.log.Warn("a claim's proof is wrong; the content is read through to see whose fault it is", "uid", uid, "subject", subject)
		s.scrub(ctx, content.ID)
		return protocol.File{}, refused(uid)
	}
	ctx, cancel := finishing(ctx)
	defer cancel()
	return s.db.Claim(ctx, owner, uid, content.ID, content.Gen, n, proof, etagOf(c.Digest), s.now(), s.cfg.Instant)
}

// unreadable refuses a claim whose content cannot be read now: the caller has
// the bytes and sends them, which heals a content that is damaged.
func (s *Service) unreadable(ctx context.Context, uid protocol.UID, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.log.Warn("a claim was refused since the content could not be read", "uid", uid, "err", err)
	return refused(uid)
}

// scrub asks for the whole content to be read. A request that is lost is made
// again by the next claim that fails.
func (s *Service) scrub(ctx context.Context, id meta.ContentID) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	if err := s.db.EnqueueScrub(ctx, id); err != nil {
		s.log.Error("ask for a content to be scrubbed", "content", id, "err", err)
	}
}

// parseProof accepts 64 lower-case hex digits; anything else is
// KindBadRequest.
func parseProof(text string) (p [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(p) || hex.EncodeToString(b) != text {
		return p, protocol.Errorf(protocol.KindBadRequest, "%.80q is not a proof: 64 lower-case hex digits", text)
	}
	return [32]byte(b), nil
}

// refused is the one form of KindClaimRefused: it does not say whether the
// content is unknown, the proof wrong or the nonce used.
func refused(uid protocol.UID) error {
	return &protocol.Error{Kind: protocol.KindClaimRefused, UID: uid,
		Message: "the claim was refused; the upload is as it was", Hint: "Go on as a plain upload: send the parts."}
}

// oneAnswer gives every refusal the same form. An upload that was committed
// meanwhile refuses a claim like any other.
func oneAnswer(uid protocol.UID, err error) error {
	switch protocol.KindOf(err) {
	case protocol.KindClaimRefused, protocol.KindCommitted:
		return refused(uid)
	}
	return fmt.Errorf("claim: %w", err)
}
