package metatest

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// checkBlobs checks every blob, and that none was doomed whose writer did not
// give it up.
func (m *model) checkBlobs() {
	clear(m.blobs)
	m.ok(m.db.EachBlob(m.ctx, func(b meta.BlobRefs) error {
		m.blobs[b.ID] = b
		m.soundBlob(b, slices.ContainsFunc(m.named, func(n namedBlob) bool { return n.id == b.ID }))
		return nil
	}))
	for uid, u := range m.open {
		for _, id := range u.given {
			if m.blobs[id].State != meta.BlobWriting && !m.released[id] {
				m.Fatalf("blob %d was doomed while upload %s wrote it", id, uid)
			}
		}
	}
	for _, b := range m.named {
		if m.blobs[b.id].State != meta.BlobWriting && !m.released[b.id] && b.at.After(m.clock.Now().Add(-requestLife)) {
			m.Fatalf("blob %d was doomed while a request wrote it", b.id)
		}
	}
}

// addBlob names a blob for a part that somebody begins to send.
func (m *model) addBlob(r *rapid.T) { m.addBlobTo(m.anyOpen(r)) }

func (m *model) addBlobTo(u *modelUpload) {
	id, err := m.db.AddBlob(m.ctx, m.newBlob(modelPart), u.UID)
	m.ok(err)
	u.given = append(u.given, id)
	m.blobs[id] = meta.BlobRefs{Blob: meta.Blob{ID: id, State: meta.BlobWriting}}
}

// takeGiven takes one of the blobs made for the upload.
func (m *model) takeGiven(r *rapid.T, u *modelUpload) meta.BlobID {
	if len(u.given) == 0 {
		m.addBlobTo(u)
	}
	i := rapid.IntRange(0, len(u.given)-1).Draw(r, "own blob")
	id := u.given[i]
	u.given = slices.Delete(u.given, i, i+1)
	return id
}

// release notes that a part lies in the blob no more. Its writer may be late
// and record it there once more, unless the sweep comes first.
func (m *model) release(u *modelUpload, id meta.BlobID) {
	if id != u.Blob {
		u.given, m.released[id] = append(u.given, id), true
	}
}

// reserve charges an upload without a size before it grows, if the quota lets
// it.
func (m *model) reserve(u *modelUpload, size int64) bool {
	err := m.db.ReserveUpload(m.ctx, u.Owner, u.UID, size)
	if u.Size != nil || u.Reserved >= size {
		m.ok(err)
		return true
	}
	if !m.fits(u.Owner, meta.Usage{Bytes: size - u.Reserved}) {
		m.kind(err, protocol.KindQuotaExceeded)
		return false
	}
	m.ok(err)
	u.Reserved = size
	return true
}

// recordPart records a part in its place, in a blob of its own, or again where
// it lies.
func (m *model) recordPart(r *rapid.T) {
	u := m.anyOpen(r)
	n := protocol.PartNumber(rapid.IntRange(1, 3).Draw(r, "number"))
	p := part(n, u.Blob, int64(n-1)*modelPart, modelPart)
	if !m.reserve(u, p.Offset+p.Length) {
		return
	}
	old, taken := u.parts[n]
	switch where := rapid.IntRange(0, 3).Draw(r, "where"); {
	case taken && where == 0:
		p = old
	case taken || where == 1 || u.Blob == 0:
		p.Blob, p.BlobOffset = m.takeGiven(r, u), 0
	}
	state := m.blobs[p.Blob].State
	gen, err := m.db.RecordPart(m.ctx, u.Owner, u.UID, p)
	if state != meta.BlobWriting && state != meta.BlobLive {
		m.kind(err, protocol.KindStoreUnavailable)
		return
	}
	m.ok(err)
	u.gen++
	m.same("gen", gen, u.gen)
	u.parts[n], u.touched = p, m.clock.Now()
	if taken && old.Blob != p.Blob {
		m.release(u, old.Blob)
	}
}

// dropPart un-records a part.
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
	m.release(u, p.Blob)
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
	m.release(u, blob)
	m.blobState(blob, meta.BlobDoomed)
}

// beginAnew has an upload of which nothing is recorded be sent in chunks, and
// whole again.
func (m *model) beginAnew(r *rapid.T) {
	u := m.anyOpen(r)
	inChunks := anewOf(u.Upload, true)
	err := m.db.BeginAnew(m.ctx, inChunks)
	if u.Size != nil || len(u.parts) > 0 {
		m.kind(err, protocol.KindConflict)
		return
	}
	m.ok(err)
	whole, b := anewOf(u.Upload, false), m.newBlob(0)
	whole.InPlace = &b
	m.ok(m.db.BeginAnew(m.ctx, whole))
	now, err := m.db.Upload(m.ctx, u.Owner, u.UID)
	m.ok(err)
	old := u.Blob
	u.Blob, u.gen, u.touched = now.Blob, u.gen+2, m.clock.Now()
	if old != 0 {
		m.release(u, old)
		m.blobState(old, meta.BlobDoomed)
	}
	for _, id := range u.given {
		if m.blobs[id].State == meta.BlobWriting {
			m.released[id] = true
			m.blobState(id, meta.BlobDoomed)
		}
	}
}

// nameBlob names a blob for a request that ends in a put.
func (m *model) nameBlob(*rapid.T) {
	b := m.newBlob(modelPart)
	id, err := m.db.AddBlob(m.ctx, b, 0)
	m.ok(err)
	m.named = append(m.named, namedBlob{b, id, m.clock.Now()})
}

// giveUp has the writer of a blob give it up: one that was told of a failure
// although what it wrote was recorded, perhaps committed.
func (m *model) giveUp(r *rapid.T) {
	parts := rapid.Bool().Draw(r, "recorded")
	ids := slices.Sorted(maps.Keys(m.blobs))
	slices.Reverse(ids) // the first are drawn most often, and old blobs are gone
	ids = slices.DeleteFunc(ids, func(id meta.BlobID) bool { return parts && m.blobs[id].Parts == 0 })
	if len(ids) == 0 {
		r.Skip("no blob")
	}
	b := m.blobs[rapid.SampledFrom(ids).Draw(r, "blob")]
	used := b.Extents+b.Parts > 0
	for _, u := range m.open {
		used = used || u.Blob == b.ID
	}
	m.ok(m.db.DropBlob(m.ctx, b.ID))
	m.released[b.ID] = true
	if !used && (b.State == meta.BlobWriting || b.State == meta.BlobLive) {
		b.State = meta.BlobDoomed
	}
	m.blobState(b.ID, b.State)
}

// move has a job write a content's bytes elsewhere, while sweeps may run, and has
// the content lie there.
func (m *model) move(r *rapid.T) {
	uid := m.anyFile(r)
	f := m.files[uid]
	_, c, err := m.db.Content(m.ctx, f.owner, uid)
	m.ok(err)
	job, j := m.mover()
	to := m.target(job, f.key.size)
	if rapid.Bool().Draw(r, "a sweep comes between") {
		m.sweepAll()
	}
	n := meta.Move{Content: c.ID, Gen: c.Gen, Extents: m.recut(c, to)}
	err = m.db.MoveExtents(job, n)
	switch mc := m.contents[f.key]; {
	case mc.damaged:
		m.kind(err, protocol.KindContentCorrupt)
		m.ok(m.db.DropBlob(job, to))
	default:
		m.ok(err)
		if m.ok(m.db.DropBlob(job, to)); f.key.size > 0 { // which is used now
			m.blobState(to, meta.BlobLive)
		}
		mc.epoch++
		m.contents[f.key] = mc
	}
	m.ok(m.db.EndJob(m.ctx, j.Lease, meta.JobOutcome{}))
}

// recut are the extents of a content as they are cut, all in one blob.
func (m *model) recut(c meta.Content, to meta.BlobID) (extents []meta.Extent) {
	var end int64
	for _, e := range c.Extents {
		extents = append(extents, meta.Extent{Blob: to, Offset: end, Length: e.Length, XXH3: e.XXH3})
		end += e.Length
	}
	return extents
}
