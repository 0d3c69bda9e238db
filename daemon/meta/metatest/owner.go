package metatest

import (
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// What bob is told of alice's uploads and files is what he is told of unknown
// ones, and nothing he does reaches them.
var ownerTests = map[string]func(*env){
	"another owner's upload does not exist": func(e *env) {
		n := e.newUpload("x")
		size, fp := int64(5), protocol.Fingerprint{1}
		n.Size, n.Fingerprint = &size, &fp
		u := e.begin(n)
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		c := e.commitOf(u, gen, 1, 5, meta.Extent{Blob: u.Blob, Length: 5})
		c.Owner = bob
		_, uploadErr := e.db.Upload(e.ctx, bob, u.UID)
		_, recordErr := e.db.RecordPart(e.ctx, bob, u.UID, part(2, u.Blob, 5, 5))
		_, _, partsErr := e.db.Parts(e.ctx, bob, u.UID)
		_, commitErr := e.db.Commit(e.ctx, c)
		for _, err := range []error{uploadErr, recordErr, partsErr, commitErr, e.db.TouchUpload(e.ctx, bob, u.UID), e.db.AbortUpload(e.ctx, bob, u.UID)} {
			e.kind(err, protocol.KindNotFound)
		}
		open, err := e.db.OpenUploads(e.ctx, bob, "x", size, fp)
		e.ok(err)
		list, err := e.db.Uploads(e.ctx, bob, 10, 0)
		e.ok(err)
		e.same("listed", len(open)+len(list), 0)
		parts, now, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("untouched", []any{len(parts), now}, []any{1, gen})
	},
	"another owner's file does not exist": func(e *env) {
		u, _ := e.put("x", 1, 5)
		name := "stolen"
		_, fileErr := e.db.File(e.ctx, bob, u.UID)
		_, uploadErr := e.db.Upload(e.ctx, bob, u.UID)
		_, patchErr := e.db.PatchFile(e.ctx, bob, u.UID, meta.FilePatch{Name: &name})
		_, _, contentErr := e.db.Content(e.ctx, bob, u.UID)
		_, recordErr := e.db.RecordPart(e.ctx, bob, u.UID, part(1, u.Blob, 0, 5))
		for _, err := range []error{fileErr, uploadErr, patchErr, contentErr, recordErr, e.db.DeleteFile(e.ctx, bob, u.UID), e.db.AbortUpload(e.ctx, bob, u.UID)} {
			e.kind(err, protocol.KindNotFound)
		}
		digest := protocol.Digest{1}
		for _, q := range []meta.FileQuery{{Limit: 10}, {Limit: 10, Name: "x"}, {Limit: 10, Prefix: "x"}, {Limit: 10, Digest: &digest}} {
			list, err := e.db.Files(e.ctx, bob, q)
			e.ok(err)
			e.same("listed", len(list), 0)
		}
		f, err := e.db.File(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("name", f.Name, "x")
	},
	"keys are an owner's own": func(e *env) {
		e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: "k", Request: [32]byte{1}}))
		got, err := e.db.Answer(e.ctx, bob, "k")
		e.ok(err)
		e.same("none", got == nil, true)
		e.ok(e.db.SaveAnswer(e.ctx, bob, meta.Idempotency{Key: "k", Request: [32]byte{2}}))
	},
	"content is shared across owners without a trace": func(e *env) {
		u, _ := e.put("x", 1, 5)
		n := e.oneShot("y", 1, 5)
		n.Owner = bob
		_, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		_, ca, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		_, cb, err := e.db.Content(e.ctx, bob, n.UID)
		e.ok(err)
		e.same("content", ca.ID, cb.ID)
		e.ok(e.db.DeleteFile(e.ctx, alice, u.UID))
		_, cb, err = e.db.Content(e.ctx, bob, n.UID)
		e.ok(err)
		e.same("extents", len(cb.Extents), 1)
	},
}
