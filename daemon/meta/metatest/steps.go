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

func (m *model) addBlob(r *rapid.T) {
	u := m.anyOpen(r)
	id, err := m.db.AddBlob(m.ctx, m.newBlob(modelPart), u.UID)
	m.ok(err)
	u.given = append(u.given, id)
}

func (m *model) recordPart(r *rapid.T) {
	u := m.anyOpen(r)
	n := protocol.PartNumber(rapid.IntRange(1, 3).Draw(r, "number"))
	blob, offset := u.Blob, int64(n-1)*modelPart
	if _, taken := u.parts[n]; taken || blob == 0 || len(u.given) > 0 && rapid.Bool().Draw(r, "own blob") {
		if len(u.given) == 0 {
			r.Skip("no blob for the part")
		}
		blob, offset, u.given = u.given[0], 0, u.given[1:]
	}
	p := part(n, blob, 0, modelPart)
	p.Offset, p.BlobOffset = int64(n-1)*modelPart, offset
	lost := m.blob(blob).State == meta.BlobDoomed
	gen, err := m.db.RecordPart(m.ctx, u.Owner, u.UID, p)
	if lost {
		m.kind(err, protocol.KindStoreUnavailable)
		return
	}
	m.ok(err)
	u.gen++
	m.same("gen", gen, u.gen)
	u.parts[n], u.touched = p, m.clock.Now()
}

// dropPart un-records a part. Its blob may be given to another part, unless
// the sweep comes first.
func (m *model) dropPart(r *rapid.T) {
	u := m.anyOpen(r)
	parts, _, err := m.db.Parts(m.ctx, u.Owner, u.UID)
	m.ok(err)
	if len(parts) == 0 {
		r.Skip("no part")
	}
	p := parts[rapid.IntRange(0, len(parts)-1).Draw(r, "part")]
	if rapid.IntRange(0, 3).Draw(r, "replaced") == 0 {
		m.ok(m.db.DropPart(m.ctx, u.UID, p.Number, p.Gen-1))
		return
	}
	m.ok(m.db.DropPart(m.ctx, u.UID, p.Number, p.Gen))
	delete(u.parts, p.Number)
	u.gen++
	if p.Blob != u.Blob {
		u.given = append(u.given, p.Blob)
	}
}

func (m *model) loseBlob(r *rapid.T) {
	u := m.anyOpen(r)
	blob := u.Blob
	if len(u.parts) > 0 {
		blob = u.parts[rapid.SampledFrom(slices.Sorted(maps.Keys(u.parts))).Draw(r, "part")].Blob
	}
	if blob == 0 {
		r.Skip("nothing to lose")
	}
	m.ok(m.db.LoseBlob(m.ctx, u.UID, blob))
	u.gen++
	maps.DeleteFunc(u.parts, func(_ protocol.PartNumber, p meta.NewPart) bool { return p.Blob == blob })
	if blob == u.Blob {
		u.Blob = 0
	}
	m.blobState(blob, meta.BlobDoomed)
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
	key := contentKey{anyDigest(r), int64(len(extents)) * modelPart}
	c := m.commitOf(u.Upload, u.gen, key.digest, key.size, extents...)
	*c.Fingerprint = fingerprintOf(key.digest)
	if rapid.IntRange(0, 9).Draw(r, "stale") == 0 {
		c.Gen--
		if _, err := m.db.Commit(m.ctx, c); !isGenChanged(err) {
			m.Fatalf("a stale commit gave %v", err)
		}
		return
	}
	more := key.size
	if u.Size != nil {
		more -= *u.Size
	}
	_, err := m.db.Commit(m.ctx, c)
	if !m.fits(u.Owner, meta.Usage{Bytes: more}) {
		m.kind(err, protocol.KindQuotaExceeded)
		return
	}
	m.ok(err)
	delete(m.open, u.UID)
	m.received(key)
	m.files[u.UID] = modelFile{u.Owner, key, u.ExpiresAt}
}

func (m *model) abort(r *rapid.T) {
	u := m.anyOpen(r)
	m.ok(m.db.AbortUpload(m.ctx, u.Owner, u.UID))
	m.end(u.UID)
}

func (m *model) putFile(r *rapid.T) {
	key := contentKey{anyDigest(r), modelPart}
	n := m.oneShot("x", key.digest, key.size)
	n.Owner, n.ExpiresAt, n.Fingerprint = anyOwner(r), m.anyExpiry(r), fingerprintOf(key.digest)
	_, err := m.db.PutFile(m.ctx, n, nil)
	if !m.fits(n.Owner, meta.Usage{Files: 1, Bytes: key.size}) {
		m.kind(err, protocol.KindQuotaExceeded)
		return
	}
	m.ok(err)
	m.received(key)
	m.files[n.UID] = modelFile{n.Owner, key, n.ExpiresAt}
}

func (m *model) deleteFile(r *rapid.T) {
	uid := m.anyFile(r)
	m.ok(m.db.DeleteFile(m.ctx, m.files[uid].owner, uid))
	m.end(uid)
}

func (m *model) damage(r *rapid.T) {
	uid := m.anyFile(r)
	f := m.files[uid]
	_, c, err := m.db.Content(m.ctx, f.owner, uid)
	m.ok(err)
	m.ok(m.db.MarkDamaged(m.ctx, c.ID, c.Gen))
	mc := m.contents[f.key]
	mc.damaged = true
	m.contents[f.key] = mc
}

func anyScope(r *rapid.T) meta.Scope {
	return rapid.SampledFrom([]meta.Scope{meta.ScopeOwner, meta.ScopeGlobal}).Draw(r, "scope")
}

func (m *model) startClaim(r *rapid.T) {
	u, scope, d := m.anyOpen(r), anyScope(r), anyDigest(r)
	m.nonces++
	_, err := m.db.StartClaim(m.ctx, u.Owner, u.UID, m.challenge(d, m.nonces), scope)
	if !u.Maybe || !m.reach(u.Owner, scope, func(k contentKey) bool { return k == contentKey{d, modelPart} }) {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	m.ok(err)
	u.nonce, u.digest = m.nonces, d
}

func (m *model) takeChallenge(r *rapid.T) {
	u, scope := m.anyOpen(r), anyScope(r)
	nonce := u.nonce
	if rapid.IntRange(0, 9).Draw(r, "another nonce") == 0 {
		nonce = 255
	}
	key := contentKey{u.digest, modelPart}
	_, c, err := m.db.TakeChallenge(m.ctx, u.Owner, u.UID, protocol.Nonce{nonce}, scope)
	if u.nonce == 0 || nonce != u.nonce {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	u.nonce = 0
	if !m.reach(u.Owner, scope, func(k contentKey) bool { return k == key }) {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	m.ok(err)
	u.taken = &takenClaim{c, key, m.contents[key].epoch, nonce}
}

func (m *model) finishClaim(r *rapid.T) {
	u := m.open[anyOf(r, m.open, "taken challenge", func(u *modelUpload) bool { return u.taken != nil && m.live(u.ExpiresAt) })]
	taken, scope := u.taken, anyScope(r)
	_, err := m.claim(u.Owner, u.UID, taken.content, taken.nonce, scope)
	if m.contents[taken.key].epoch != taken.epoch || !m.reach(u.Owner, scope, func(k contentKey) bool { return k == taken.key }) {
		m.kind(err, protocol.KindClaimRefused)
		return
	}
	m.ok(err)
	delete(m.open, u.UID)
	m.files[u.UID], m.claims[u.UID] = modelFile{u.Owner, taken.key, u.ExpiresAt}, taken.nonce
}

func (m *model) passTime(r *rapid.T) {
	m.clock.Add(time.Duration(rapid.IntRange(1, 3).Draw(r, "seconds")) * time.Second)
}

func (m *model) expire(*rapid.T) {
	n, err := m.db.ExpireFiles(m.ctx, m.clock.Now(), 1000)
	m.ok(err)
	var want int
	for uid, f := range maps.Clone(m.files) {
		if !m.live(f.expires) {
			m.end(uid)
			want++
		}
	}
	for uid, u := range maps.Clone(m.open) {
		if !m.live(u.ExpiresAt) {
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
}

func (m *model) prune(*rapid.T) {
	list, err := m.db.Tombstones(m.ctx, m.clock.Now(), nil, 1000)
	m.ok(err)
	m.ok(m.db.RemoveTombstones(m.ctx, idsOf(list)))
	_, err = m.db.Prune(m.ctx, m.clock.Now(), 1000)
	m.ok(err)
}
