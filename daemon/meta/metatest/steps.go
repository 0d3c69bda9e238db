package metatest

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func (m *model) beginUpload(r *rapid.T) {
	n := m.newUpload("x")
	n.Owner, n.ExpiresAt = anyOwner(r), m.anyExpiry(r)
	wanted := meta.Usage{Files: 1, Uploads: 1}
	if rapid.Bool().Draw(r, "sized") {
		size, fp := int64(modelPart), fingerprintOf(anyDigest(r))
		n.Size, n.Fingerprint, wanted.Bytes = &size, &fp, size
		n.Maybe = m.mayHave(n.Owner, meta.ScopeGlobal, size, fp[0])
	}
	u, err := m.db.BeginUpload(m.ctx, n, nil)
	if !m.fits(n.Owner, wanted) {
		m.kind(err, protocol.KindQuotaExceeded)
		m.ended = append(m.ended, n.UID)
		return
	}
	m.ok(err)
	m.open[u.UID] = &modelUpload{Upload: u, touched: m.clock.Now(), parts: map[protocol.PartNumber]meta.NewPart{}}
}

// commit commits the parts, sometimes with a piece of another file's content
// behind them, so that contents share blobs.
func (m *model) commit(r *rapid.T) {
	u := m.anyOpen(r)
	var extents []meta.Extent
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		extents = append(extents, meta.Extent{Blob: u.parts[n].Blob, Offset: u.parts[n].BlobOffset, Length: modelPart})
	}
	if len(m.files) > 0 && rapid.IntRange(0, 3).Draw(r, "borrow") == 0 {
		uid := m.anyFile(r)
		_, c, err := m.db.Content(m.ctx, m.files[uid].owner, uid)
		m.ok(err)
		if len(c.Extents) > 0 {
			extents = append(extents, meta.Extent{Blob: c.Extents[0].Blob, Offset: c.Extents[0].Offset, Length: c.Extents[0].Length})
		}
	}
	key := contentKey{digest: anyDigest(r), size: int64(len(extents)) * modelPart}
	c := m.commitOf(u.Upload, u.gen, key.digest, key.size, extents...)
	*c.Fingerprint = fingerprintOf(key.digest)
	if rapid.IntRange(0, 3).Draw(r, "digest unknown") == 0 {
		key.unknown, c.Digest, c.Fingerprint, c.Blocks = u.UID, nil, nil, nil
	}
	if rapid.IntRange(0, 9).Draw(r, "stale") == 9 {
		c.Gen--
		if _, err := m.db.Commit(m.ctx, c); !isGenChanged(err) {
			m.Fatalf("a stale commit gave %v", err)
		}
		return
	}
	_, err := m.db.Commit(m.ctx, c)
	if !m.fits(u.Owner, meta.Usage{Bytes: key.size - u.charged()}) {
		m.kind(err, protocol.KindQuotaExceeded)
		return
	}
	m.ok(err)
	delete(m.open, u.UID)
	m.received(key)
	m.event(protocol.EventFileCommitted, u.UID)
	m.files[u.UID] = modelFile{owner: u.Owner, key: key, expires: u.ExpiresAt, looked: key.size == 0 && key.unknown == 0}
}

func (m *model) abort(r *rapid.T) {
	u := m.anyOpen(r)
	m.ok(m.db.AbortUpload(m.ctx, u.Owner, u.UID))
	m.end(u.UID)
}

// putFile puts a file in one request, which named its blob before or did not.
func (m *model) putFile(r *rapid.T) {
	key := contentKey{digest: anyDigest(r), size: modelPart}
	n := m.oneShot("x", key.digest, key.size)
	n.Owner, n.ExpiresAt, n.Fingerprint = anyOwner(r), m.anyExpiry(r), fingerprintOf(key.digest)
	var lost bool
	named := len(m.named) > 0 && rapid.Bool().Draw(r, "named before")
	if named {
		n.Blob, n.Named = &m.named[0].NewBlob, m.named[0].id
		b, known := m.blobs[n.Named]
		lost = !known || b.State != meta.BlobWriting
	}
	_, err := m.db.PutFile(m.ctx, n, nil)
	fits := m.fits(n.Owner, meta.Usage{Files: 1, Bytes: key.size})
	if named && (fits || lost) {
		m.named = m.named[1:]
	}
	switch {
	case lost:
		m.kind(err, protocol.KindStoreUnavailable)
	case !fits:
		m.kind(err, protocol.KindQuotaExceeded)
	default:
		m.ok(err)
		m.received(key)
		m.event(protocol.EventFileCommitted, n.UID)
		m.files[n.UID] = modelFile{owner: n.Owner, key: key, expires: n.ExpiresAt}
	}
}

func (m *model) deleteFile(r *rapid.T) {
	uid := m.anyFile(r)
	m.ok(m.db.DeleteFile(m.ctx, m.files[uid].owner, uid))
	m.event(protocol.EventFileDeleted, uid)
	m.end(uid)
}

func (m *model) damage(r *rapid.T) {
	uid := m.anyFile(r)
	f := m.files[uid]
	_, c, err := m.db.Content(m.ctx, f.owner, uid)
	m.ok(err)
	m.ok(m.db.MarkDamaged(m.ctx, c.ID, c.Gen))
	mc := m.contents[f.key]
	if !mc.damaged {
		m.eachOf(f.key, protocol.EventContentCorrupt)
	}
	mc.damaged = true
	m.contents[f.key] = mc
}

// heal is a scrub that read a content right throughout, or where it lay before.
func (m *model) heal(r *rapid.T) {
	uid := m.anyFile(r)
	f := m.files[uid]
	_, c, err := m.db.Content(m.ctx, f.owner, uid)
	m.ok(err)
	v := meta.Verified{Content: c.ID, Gen: c.Gen - int64(rapid.IntRange(0, 3).Draw(r, "gens ago")/3)}
	healed, err := m.db.HealVerified(m.ctx, v)
	m.ok(err)
	mc := m.contents[f.key]
	m.same("healed", healed, mc.damaged && v.Gen == c.Gen && c.Digest != nil)
	if !healed {
		return
	}
	mc.epoch++
	m.eachOf(f.key, protocol.EventContentHealed)
	mc.damaged = false
	m.contents[f.key] = mc
}

// anyClaiming draws an open upload, mostly one that may be claimed.
func (m *model) anyClaiming(r *rapid.T) *modelUpload {
	whoever := rapid.IntRange(0, 9).Draw(r, "whatever it was told") == 9
	return m.open[anyOf(r, m.open, "upload", func(u *modelUpload) bool { return m.live(u.ExpiresAt) && (whoever || u.Maybe) })]
}

func anyScope(r *rapid.T) meta.Scope {
	return rapid.SampledFrom([]meta.Scope{meta.ScopeOwner, meta.ScopeGlobal}).Draw(r, "scope")
}

func (m *model) startClaim(r *rapid.T) { m.startClaimOf(r, m.anyClaiming(r)) }

func (m *model) startClaimOf(r *rapid.T, u *modelUpload) {
	scope, d := anyScope(r), anyDigest(r)
	m.nonces++
	_, err := m.db.StartClaim(m.ctx, u.Owner, u.UID, m.challenge(d, m.nonces), scope)
	if !u.Maybe || !m.reach(u.Owner, scope, func(k contentKey) bool { return k == contentKey{digest: d, size: modelPart} }) {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	m.ok(err)
	u.nonce, u.digest, u.until = m.nonces, d, m.clock.Now().Add(time.Minute)
}

func (m *model) takeChallenge(r *rapid.T) { m.takeChallengeOf(r, m.anyClaiming(r)) }

// takeChallengeOf takes the challenge given last, or one that it asks for.
func (m *model) takeChallengeOf(r *rapid.T, u *modelUpload) {
	if u.nonce == 0 {
		m.startClaimOf(r, u)
	}
	scope, nonce, key := anyScope(r), u.nonce, contentKey{digest: u.digest, size: modelPart}
	if rapid.IntRange(0, 9).Draw(r, "another nonce") == 9 {
		nonce = 255
	}
	_, c, err := m.db.TakeChallenge(m.ctx, u.Owner, u.UID, protocol.Nonce{nonce}, scope, canRead)
	if u.nonce == 0 || nonce != u.nonce {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	u.nonce = 0
	if !m.live(&u.until) || !m.reach(u.Owner, scope, func(k contentKey) bool { return k == key }) {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	m.ok(err)
	u.taken = &takenClaim{c, key, m.contents[key].epoch, nonce}
}

// finishClaim ends a claim, or runs all of one.
func (m *model) finishClaim(r *rapid.T) {
	u := m.anyClaiming(r)
	if u.taken == nil {
		m.takeChallengeOf(r, u)
	}
	taken, scope := u.taken, anyScope(r)
	if taken == nil {
		return
	}
	_, err := m.claim(u.Owner, u.UID, taken.content, taken.nonce, scope)
	if m.contents[taken.key].epoch != taken.epoch || !m.reach(u.Owner, scope, func(k contentKey) bool { return k == taken.key }) {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	m.ok(err)
	delete(m.open, u.UID)
	m.event(protocol.EventFileCommitted, u.UID)
	m.files[u.UID], m.claims[u.UID] = modelFile{owner: u.Owner, key: taken.key, expires: u.ExpiresAt}, taken.nonce
}

// passTime lets some seconds pass, or the time after which nobody believes in
// a request any more.
func (m *model) passTime(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "long") == 9 {
		m.clock.Add(requestLife)
		return
	}
	m.clock.Add(time.Duration(rapid.IntRange(1, 3).Draw(r, "seconds")) * time.Second)
}

func (m *model) expire(*rapid.T) {
	n, err := m.db.ExpireFiles(m.ctx, m.clock.Now(), 1000)
	m.ok(err)
	var want int
	for uid, f := range maps.Clone(m.files) {
		if !m.live(f.expires) {
			m.event(protocol.EventFileExpired, uid)
			m.end(uid)
			want++
		}
	}
	for uid, u := range maps.Clone(m.open) {
		if !m.live(u.ExpiresAt) {
			m.event(protocol.EventUploadAbandoned, uid)
			m.end(uid)
			want++
		}
	}
	m.same("expired", n, want)
}

func (m *model) abandon(r *rapid.T) {
	bound := m.clock.Now().Add(-time.Duration(rapid.IntRange(0, 5).Draw(r, "idle")) * time.Second)
	n, err := m.db.AbandonUploads(m.ctx, bound, 1000)
	m.ok(err)
	var want int
	for uid, u := range maps.Clone(m.open) {
		if u.touched.Before(bound) {
			m.event(protocol.EventUploadAbandoned, uid)
			m.end(uid)
			want++
		}
	}
	m.same("abandoned", n, want)
}

// sweep runs a round, or only its beginning.
func (m *model) sweep(r *rapid.T) {
	if rapid.Bool().Draw(r, "offered only") {
		_, err := m.db.DoomOffered(m.ctx, 2)
		m.ok(err)
		return
	}
	m.sweepAll()
	m.ok(m.db.EachBlob(m.ctx, func(b meta.BlobRefs) error {
		if b.Offered || b.State == meta.BlobDoomed {
			m.Fatalf("left over by a round: %+v", b)
		}
		return nil
	}))
}

func (m *model) prune(*rapid.T) {
	list, err := m.db.Tombstones(m.ctx, "", m.clock.Now(), nil, 1000)
	m.ok(err)
	m.ok(m.db.RemoveTombstones(m.ctx, idsOf(list)))
	_, err = m.db.Prune(m.ctx, m.clock.Now(), 1000)
	m.ok(err)
}
