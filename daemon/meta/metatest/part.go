package metatest

import (
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var partTests = map[string]func(*env){
	"parts come back whole and in order": func(e *env) {
		u := e.begin(e.newUpload("x"))
		p2, p1 := part(2, u.Blob, 10, 5), part(1, u.Blob, 0, 10)
		p1.Blocks = blocks(3*protocol.BlockSize, 7)
		e.clock.Add(time.Second)
		e.same("gen", e.record(u.UID, p2), 1)
		e.same("gen", e.record(u.UID, p1), 2)
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("gen", gen, 2)
		e.same("parts", parts, []meta.Part{{NewPart: p1, Gen: 2, Store: "disk", Key: u.InPlace.Key}, {NewPart: p2, Gen: 1, Store: "disk", Key: u.InPlace.Key}})
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("touched", got.TouchedAt, e.clock.Now())
		e.blobState(u.Blob, meta.BlobLive)
		e.same("reach", e.blob(u.Blob).MaxEnd, 15)
		e.same("uids", e.blob(u.Blob).UIDs, []protocol.UID{u.UID})
	},
	"a replaced part's own blob is offered": func(e *env) {
		u := e.begin(e.newUpload("x"))
		first, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		second, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.record(u.UID, part(1, first, 0, 5))
		e.same("in-place blob offered", e.blob(u.Blob).Offered, false)
		e.record(u.UID, part(1, second, 0, 5))
		e.same("own blob offered", e.blob(first).Offered, true)
		e.blobState(first, meta.BlobLive)
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("one part", len(parts), 1)
		e.same("its blob", parts[0].Blob, second)
		e.same("gen", gen, 3)
		e.record(u.UID, part(1, second, 0, 5))
		e.same("the same blob again is not offered", e.blob(second).Offered, false)
	},
	"a committed upload takes no part": func(e *env) {
		u, f := e.put("x", 1, 5)
		_, err := e.db.RecordPart(e.ctx, alice, u.UID, part(1, u.Blob, 0, 5))
		e.kind(err, protocol.KindCommitted)
		_, err = e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.kind(err, protocol.KindCommitted)
		e.kind(e.db.LoseBlob(e.ctx, u.UID, u.Blob), protocol.KindCommitted)
		e.ok(e.db.DropPart(e.ctx, u.UID, 1, 1))
		_, _, err = e.db.Parts(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindCommitted)
		e.kind(e.db.AbortUpload(e.ctx, alice, u.UID), protocol.KindCommitted)
		got, _, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("file", got.ETag, f.ETag)
		e.blobState(u.Blob, meta.BlobLive)
	},
	"unknown uploads": func(e *env) {
		_, err := e.db.RecordPart(e.ctx, alice, 77, part(1, 1, 0, 5))
		e.kind(err, protocol.KindNotFound)
		_, _, err = e.db.Parts(e.ctx, alice, 77)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.AddBlob(e.ctx, e.newBlob(5), 77)
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.LoseBlob(e.ctx, 77, 1), protocol.KindNotFound)
		e.ok(e.db.DropPart(e.ctx, 77, 1, 1))
		e.ok(e.db.PartsSynced(e.ctx, 77, 1, 1))
	},
	"synced parts lose their boot id up to a gen": func(e *env) {
		u := e.begin(e.newUpload("x"))
		other, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.record(u.UID, part(2, other, 0, 5))
		through := e.record(u.UID, part(3, u.Blob, 10, 5))
		e.record(u.UID, part(4, u.Blob, 20, 5))
		e.ok(e.db.PartsSynced(e.ctx, u.UID, u.Blob, through))
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("gen stays", gen, 4)
		for i, want := range []string{"", "boot", "", "boot"} {
			e.same("boot id", parts[i].BootID, want)
		}
	},
	"drop a part only at its gen": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		old := e.record(u.UID, part(1, u.Blob, 0, 5))
		now := e.record(u.UID, part(1, own, 0, 5))
		touched := e.clock.Now()
		e.clock.Add(time.Second)
		e.ok(e.db.DropPart(e.ctx, u.UID, 1, old))
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("still there", len(parts), 1)
		e.same("gen", gen, now)
		e.ok(e.db.DropPart(e.ctx, u.UID, 1, now))
		parts, gen, err = e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("gone", len(parts), 0)
		e.same("gen", gen, now+1)
		e.same("its blob is offered", e.blob(own).Offered, true)
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("nobody sent anything", got.TouchedAt, touched)
	},
	"a lost blob": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.record(u.UID, part(2, own, 0, 5))
		gen := e.record(u.UID, part(3, u.Blob, 10, 5))
		e.ok(e.db.LoseBlob(e.ctx, u.UID, u.Blob))
		e.blobState(u.Blob, meta.BlobDoomed)
		parts, after, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("gen", after, gen+1)
		e.same("parts", len(parts), 1)
		e.same("part", parts[0].Number, 2)
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		if got.Blob != 0 || got.InPlace != nil {
			e.Fatalf("still assembled in %+v", got.InPlace)
		}
		_, err = e.db.RecordPart(e.ctx, alice, u.UID, part(4, u.Blob, 20, 5))
		e.kind(err, protocol.KindStoreUnavailable)
		_, after2, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("the refused part changed nothing", after2, after)
	},
	"drop a blob its writer gave up": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.blobState(own, meta.BlobWriting)
		e.ok(e.db.DropBlob(e.ctx, own))
		e.blobState(own, meta.BlobDoomed)
		e.ok(e.db.DropBlob(e.ctx, own))
		e.ok(e.db.DropBlob(e.ctx, 7777))
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.ok(e.db.DropBlob(e.ctx, u.Blob))
		e.blobState(u.Blob, meta.BlobLive)
	},
	"drop a blob that nobody was shown": func(e *env) {
		unseen := func(id meta.BlobID, want bool, state meta.BlobState) {
			e.Helper()
			got, err := e.db.DropUnseen(e.ctx, id)
			e.ok(err)
			e.same("unseen", got, want)
			e.blobState(id, state)
		}
		u := e.begin(e.newUpload("x"))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		unseen(own, true, meta.BlobDoomed)
		unseen(own, false, meta.BlobDoomed)
		e.ok(e.db.MarkGone(e.ctx, []meta.BlobID{own}))
		unseen(own, false, meta.BlobGone)
		unseen(u.Blob, false, meta.BlobWriting)
		replaced, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.record(u.UID, part(1, replaced, 0, 5))
		unseen(replaced, false, meta.BlobLive)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		unseen(replaced, false, meta.BlobDoomed)
		none, err := e.db.DropUnseen(e.ctx, 7777)
		e.ok(err)
		e.same("of no blob", none, false)
	},
	"a part without blocks": func(e *env) {
		u := e.begin(e.newUpload("x"))
		p := part(1, u.Blob, 0, 5)
		p.Blocks = nil
		e.record(u.UID, p)
		parts, _, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("blocks", len(parts[0].Blocks), 0)
	},
	"a key names one blob": func(e *env) {
		b := e.newBlob(5)
		_, err := e.db.AddBlob(e.ctx, b, 0)
		e.ok(err)
		_, err = e.db.AddBlob(e.ctx, b, 0)
		e.kind(err, protocol.KindInternal)
	},
}
