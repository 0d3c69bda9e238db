package metatest

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// model is what the database should hold: uploads with their parts, files with
// their bytes' digest, and nothing about blobs, of which only the rule is
// checked.
type model struct {
	*env
	open  map[protocol.UID]*modelUpload
	files map[protocol.UID]byte
	// ended is the upload or file that was ended last.
	ended protocol.UID
}

type modelUpload struct {
	meta.Upload
	gen   int64
	parts map[protocol.PartNumber]meta.NewPart
	// given are blobs made for the upload that no part lies in yet.
	given []meta.BlobID
}

const modelPart = 5

// testModel drives the database with random uploads, parts, losses, commits
// and deletions, and compares it with maps after each step.
func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(r *rapid.T) {
		e := &env{TB: r, ctx: t.Context(), clock: NewClock(), uids: 1000}
		e.db = open(t, e.clock.Now)
		defer func() {
			if err := e.db.Close(); err != nil {
				r.Fatal(err)
			}
		}()
		m := &model{env: e, open: map[protocol.UID]*modelUpload{}, files: map[protocol.UID]byte{}}
		r.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"begin":  func(r *rapid.T) { m.beginUpload() },
			"record": m.recordPart,
			"add":    m.addBlob,
			"drop":   m.dropPart,
			"lose":   m.loseBlob,
			"commit": m.commit,
			"abort":  m.abort,
			"put":    m.putFile,
			"delete": m.deleteFile,
		})
		m.ok(m.db.CheckDatabase(m.ctx))
	})
}

// anyOpen draws an open upload, or ends the step where there is none.
func (m *model) anyOpen(r *rapid.T) *modelUpload {
	if len(m.open) == 0 {
		r.Skip("no open upload")
	}
	return m.open[rapid.SampledFrom(slices.Sorted(maps.Keys(m.open))).Draw(r, "upload")]
}

func (m *model) beginUpload() {
	u := m.begin(m.newUpload("x"))
	m.open[u.UID] = &modelUpload{Upload: u, parts: map[protocol.PartNumber]meta.NewPart{}}
}

func (m *model) addBlob(r *rapid.T) {
	u := m.anyOpen(r)
	id, err := m.db.AddBlob(m.ctx, m.newBlob(modelPart), u.UID)
	m.ok(err)
	u.given = append(u.given, id)
}

func (m *model) recordPart(r *rapid.T) {
	u := m.anyOpen(r)
	n := protocol.PartNumber(rapid.IntRange(1, 4).Draw(r, "number"))
	blob, offset := u.Blob, int64(n-1)*modelPart
	if _, taken := u.parts[n]; taken || blob == 0 {
		if len(u.given) == 0 {
			r.Skip("no blob for the part")
		}
		blob, offset, u.given = u.given[0], 0, u.given[1:]
	}
	p := part(n, blob, 0, modelPart)
	p.Offset, p.BlobOffset = int64(n-1)*modelPart, offset
	u.gen++
	m.same("gen", m.record(u.UID, p), u.gen)
	u.parts[n] = p
}

func (m *model) dropPart(r *rapid.T) {
	u := m.anyOpen(r)
	n := protocol.PartNumber(rapid.IntRange(1, 4).Draw(r, "number"))
	gen := rapid.Int64Range(1, max(u.gen, 1)).Draw(r, "gen")
	parts, _, err := m.db.Parts(m.ctx, alice, u.UID)
	m.ok(err)
	m.ok(m.db.DropPart(m.ctx, u.UID, n, gen))
	for _, p := range parts {
		if p.Number == n && p.Gen == gen {
			delete(u.parts, n)
			u.gen++
		}
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

func (m *model) commit(r *rapid.T) {
	u := m.anyOpen(r)
	var extents []meta.Extent
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		extents = append(extents, meta.Extent{Blob: u.parts[n].Blob, Offset: u.parts[n].BlobOffset, Length: modelPart})
	}
	d := byte(rapid.IntRange(1, 3).Draw(r, "digest"))
	c := m.commitOf(u.Upload, u.gen, d, int64(len(extents))*modelPart, extents...)
	if rapid.Bool().Draw(r, "stale") {
		c.Gen--
		if _, err := m.db.Commit(m.ctx, c); !isGenChanged(err) {
			m.Fatalf("a stale commit gave %v", err)
		}
		return
	}
	_, err := m.db.Commit(m.ctx, c)
	m.ok(err)
	delete(m.open, u.UID)
	m.files[u.UID] = d
}

func (m *model) abort(r *rapid.T) {
	u := m.anyOpen(r)
	m.ok(m.db.AbortUpload(m.ctx, alice, u.UID))
	delete(m.open, u.UID)
	m.ended = u.UID
}

func (m *model) putFile(r *rapid.T) {
	d := byte(rapid.IntRange(1, 3).Draw(r, "digest"))
	f, err := m.db.PutFile(m.ctx, m.oneShot("x", d, modelPart), nil)
	m.ok(err)
	m.files[f.UID] = d
}

func (m *model) deleteFile(r *rapid.T) {
	if len(m.files) == 0 {
		r.Skip("no file")
	}
	uid := rapid.SampledFrom(slices.Sorted(maps.Keys(m.files))).Draw(r, "file")
	m.ok(m.db.DeleteFile(m.ctx, alice, uid))
	delete(m.files, uid)
	m.ended = uid
}

// check compares everything the database shows with the model, and holds the
// rule of references.
func (m *model) check(*rapid.T) {
	for uid, u := range m.open {
		parts, gen, err := m.db.Parts(m.ctx, alice, uid)
		m.ok(err)
		m.same("gen", gen, u.gen)
		m.same("number of parts", len(parts), len(u.parts))
		for _, p := range parts {
			m.same("part", p.NewPart, u.parts[p.Number])
		}
	}
	contents := map[[2]int64]meta.ContentID{}
	for uid, d := range m.files {
		f, c, err := m.db.Content(m.ctx, alice, uid)
		m.ok(err)
		m.same("digest", *f.Digest, protocol.Digest{d})
		key := [2]int64{int64(d), f.Size}
		if other, ok := contents[key]; ok && other != c.ID {
			m.Fatalf("contents %d and %d are equal", other, c.ID)
		}
		contents[key] = c.ID
	}
	if uid := m.ended; uid != 0 {
		_, err := m.db.Upload(m.ctx, alice, uid)
		m.kind(err, protocol.KindNotFound)
		_, err = m.db.File(m.ctx, alice, uid)
		m.kind(err, protocol.KindNotFound)
	}
	m.ok(m.db.EachBlob(m.ctx, m.checkBlob))
}

// checkBlob holds promise 4: a live blob is referred to, or the sweep knows
// it; a writing one has an open upload, or the sweep knows it; to a doomed one
// nothing refers.
func (m *model) checkBlob(b meta.BlobRefs) error {
	referred := b.Extents > 0 || b.Parts > 0 || b.OpenUpload != 0
	switch b.State {
	case meta.BlobLive, meta.BlobWriting:
		if !referred && !b.Offered {
			m.Fatalf("nothing refers to blob %+v and the sweep does not know it", b)
		}
	case meta.BlobDoomed, meta.BlobGone:
		if referred || b.Offered {
			m.Fatalf("doomed, and referred to: %+v", b)
		}
	}
	if b.State == meta.BlobWriting && (b.Extents > 0 || b.Parts > 0) {
		m.Fatalf("referred to before it was written: %+v", b)
	}
	return nil
}
