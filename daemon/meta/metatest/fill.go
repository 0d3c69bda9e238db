package metatest

import (
	"fmt"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var fillTests = map[string]func(*env){
	"a digest that was not known": func(e *env) {
		u := e.commitUnknown("x", 2*protocol.BlockSize)
		known := e.putShot("y", 9, 5)
		_, c := e.contentOf(u.UID)
		e.same("what its extents keep", *c.Extents[0].XXH3, protocol.XXH3{1})
		due := e.undigested(10)
		e.same("before what came later", []any{due[0].UID, due[0].DigestKnown, due[1].UID}, []any{u.UID, false, known.UID})
		fill := filled(due[0], 5)
		e.ok(e.db.FillDigest(e.ctx, fill))
		f, after := e.contentOf(u.UID)
		e.same("digest", []any{*f.Digest, f.ETag}, []any{protocol.Digest{5}, fmt.Sprintf(`"u%d"`, u.UID)})
		e.sees(f, "05", "05", "image/png")
		if len(after.Extents) != 1 || after.Extents[0].Blob != c.Extents[0].Blob || after.Extents[0].XXH3 != nil {
			e.Fatalf("extents %+v", after.Extents)
		}
		list, err := e.db.Blocks(e.ctx, after.ID, 0, 10)
		e.ok(err)
		e.same("blocks", list, fill.Blocks)
		may, err := e.db.MayHave(e.ctx, alice, meta.ScopeOwner, f.Size, protocol.Fingerprint{5})
		e.ok(err)
		e.same("may be claimed", may, true)
		_, _, err = e.db.Extents(e.ctx, c.ID)
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.FillDigest(e.ctx, fill), protocol.KindNotFound)
		e.same("due", e.undigested(10)[0].UID, known.UID)
		e.blobState(u.Blob, meta.BlobLive)
		e.sweepAll()
		e.blobState(u.Blob, meta.BlobLive)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"an equal content exists: the bytes that were just read win": func(e *env) {
		old, _ := e.put("old", 5, 2*protocol.BlockSize)
		_, before := e.contentOf(old.UID)
		u := e.commitUnknown("x", 2*protocol.BlockSize)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(u.UID), 5)))
		for _, uid := range []protocol.UID{old.UID, u.UID} {
			_, c := e.contentOf(uid)
			e.same("content", []any{c.ID, c.Gen, c.Extents[0].Blob}, []any{before.ID, before.Gen + 1, u.Blob})
		}
		f, _ := e.contentOf(old.UID)
		e.same("the other file's own job has not run", []any{f.SHA256 == nil, f.MediaType == nil}, []any{true, true})
		e.same("what is used no more is offered", []any{e.blob(old.Blob).Offered, e.blob(u.Blob).Offered}, []any{true, false})
		e.sweepAll()
		e.blobState(old.Blob, meta.BlobGone)
		e.blobState(u.Blob, meta.BlobLive)
	},
	"an equal content is damaged: it is healed": func(e *env) {
		old, _ := e.put("old", 5, 7)
		_, c := e.contentOf(old.UID)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		u := e.commitUnknown("x", 7)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(u.UID), 5)))
		_, healed := e.contentOf(old.UID)
		e.same("healed", []any{healed.State, healed.Extents[0].Blob}, []any{meta.ContentLive, u.Blob})
	},
	"two of unknown digest turn out to be equal": func(e *env) {
		a, b := e.commitUnknown("a", 7), e.commitUnknown("b", 7)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(a.UID), 5)))
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(b.UID), 5)))
		_, ca := e.contentOf(a.UID)
		_, cb := e.contentOf(b.UID)
		e.same("content", []any{ca.ID, ca.Extents[0].Blob}, []any{cb.ID, b.Blob})
	},
	"what it must not fill": func(e *env) {
		u := e.commitUnknown("x", 7)
		fill := filled(e.dueOf(u.UID), 5)
		stale := fill
		stale.Gen++
		if err := e.db.FillDigest(e.ctx, stale); !isGenChanged(err) {
			e.Fatalf("got %v", err)
		}
		short := fill
		short.Blocks = nil
		e.kind(e.db.FillDigest(e.ctx, short), protocol.KindInternal)
		_, c := e.contentOf(u.UID)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		e.kind(e.db.FillDigest(e.ctx, fill), protocol.KindContentCorrupt)
		f, c := e.contentOf(u.UID)
		e.same("as it was", []any{f.Digest == nil, c.State, len(c.Extents)}, []any{true, meta.ContentDamaged, 1})
		e.ok(e.db.DeleteFile(e.ctx, alice, u.UID))
		e.kind(e.db.FillDigest(e.ctx, fill), protocol.KindNotFound)
		fill.Content = 7777
		e.kind(e.db.FillDigest(e.ctx, fill), protocol.KindNotFound)
		e.blobState(u.Blob, meta.BlobDoomed)
	},
	"nothing, of unknown digest": func(e *env) {
		u := e.begin(e.newUpload("x"))
		c := e.commitOf(u, 0, 0, 0)
		c.Digest, c.Fingerprint, c.Blocks = nil, nil, nil
		_, err := e.db.Commit(e.ctx, c)
		e.ok(err)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(u.UID), 5)))
		f, _ := e.contentOf(u.UID)
		e.same("digest", *f.Digest, protocol.Digest{5})
	},
}

// commitUnknown commits an upload of size bytes whose digest is not known.
func (e *env) commitUnknown(name string, size int64) meta.Upload {
	e.Helper()
	u := e.begin(e.newUpload(name))
	gen := e.record(u.UID, part(1, u.Blob, 0, size))
	c := e.commitOf(u, gen, 0, size, meta.Extent{Blob: u.Blob, Length: size, XXH3: &protocol.XXH3{1}})
	c.Digest, c.Fingerprint, c.Blocks, c.ETag = nil, nil, nil, fmt.Sprintf(`"u%d"`, u.UID)
	_, err := e.db.Commit(e.ctx, c)
	e.ok(err)
	return u
}

// dueOf is what a digest job is told of a file.
func (e *env) dueOf(uid protocol.UID) (due meta.DigestDue) {
	e.Helper()
	for _, d := range e.undigested(1000) {
		if d.UID == uid {
			due = d
		}
	}
	e.same("is due", due.UID, uid)
	return due
}

func (e *env) contentOf(uid protocol.UID) (protocol.File, meta.Content) {
	e.Helper()
	f, c, err := e.db.Content(e.ctx, alice, uid)
	e.ok(err)
	return f, c
}
