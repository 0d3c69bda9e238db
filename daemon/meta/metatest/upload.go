package metatest

import (
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var uploadTests = map[string]func(*env){
	"begin keeps every field": func(e *env) {
		n := e.newUpload("a/b.txt")
		size, mediaType, fp, expires := int64(5), "text/plain", protocol.Fingerprint{9}, e.clock.Now().Add(time.Hour)
		n.Size, n.MediaType, n.Fingerprint, n.ExpiresAt = &size, &mediaType, &fp, &expires
		n.Meta = map[string]string{"k": "v", "ключ": "\"значение\""}
		u := e.begin(n)
		got, err := e.db.Upload(e.ctx, alice, n.UID)
		e.ok(err)
		for _, g := range []meta.Upload{u, got} {
			e.same("state", g.State, protocol.UploadOpen)
			e.same("name", g.Name, "a/b.txt")
			e.same("size", *g.Size, 5)
			e.same("media type", *g.MediaType, "text/plain")
			e.same("fingerprint", *g.Fingerprint, fp)
			e.same("expires", *g.ExpiresAt, expires)
			e.same("created", g.CreatedAt, n.CreatedAt)
			e.same("touched", g.TouchedAt, g.CreatedAt)
			e.same("meta", g.Meta, n.Meta)
			e.same("gen", g.Gen, 0)
			e.same("in place", *g.InPlace, *n.InPlace)
		}
		e.blobState(u.Blob, meta.BlobWriting)
		e.same("owned by the upload", e.blob(u.Blob).OpenUpload, u.UID)
	},
	"begin without a place to assemble": func(e *env) {
		n := e.newUpload("x")
		n.InPlace = nil
		u := e.begin(n)
		if u.Blob != 0 || u.InPlace != nil || u.Size != nil || u.Fingerprint != nil || u.Meta != nil || e.blobCount() != 0 {
			e.Fatalf("got %+v", u)
		}
	},
	"the home of an upload that has none": func(e *env) {
		own := func(store string) bool { return store == "disk" }
		n := e.newUpload("x")
		n.InPlace = nil
		u := e.begin(n)
		settle := func(node meta.NodeID, own func(string) bool, home meta.NodeID, others string) {
			e.Helper()
			is, elsewhere, err := e.db.SettleHome(e.ctx, alice, u.UID, node, own)
			e.ok(err)
			e.same("home", []any{is, elsewhere}, []any{home, others})
		}
		id, err := e.db.AddBlob(e.ctx, meta.NewBlob{Store: "disk@b", Key: e.newBlob(5).Key}, u.UID)
		e.ok(err)
		e.record(u.UID, part(1, id, 0, 5))
		settle("a", own, "", "disk@b")
		settle("b", func(string) bool { return true }, "b", "")
		settle("a", own, "b", "")
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("it stays", []any{got.Node, got.Gen}, []any{"b", 1})
		u = e.begin(e.newUpload("y"))
		settle("a", func(string) bool { return false }, "", u.InPlace.Store)
		settle("a", func(name string) bool { return name == u.InPlace.Store }, "a", "")
		e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
		_, _, err = e.db.SettleHome(e.ctx, alice, u.UID, "a", own)
		e.kind(err, protocol.KindNotFound)
	},
	"a uid is used once": func(e *env) {
		n := e.newUpload("x")
		e.begin(n)
		again := e.newUpload("y")
		again.UID = n.UID
		_, err := e.db.BeginUpload(e.ctx, again, nil)
		e.kind(err, protocol.KindConflict)
		e.same("blobs", e.blobCount(), 1)
	},
	"open uploads for resume": func(e *env) {
		size, other, fp := int64(5), int64(6), protocol.Fingerprint{1}
		var want []protocol.UID
		for i, c := range []struct {
			name string
			size *int64
			fp   *protocol.Fingerprint
		}{{"x", &size, &fp}, {"x", &size, &fp}, {"y", &size, &fp}, {"x", &other, &fp}, {"x", nil, &fp}, {"x", &size, nil}, {"x", &size, &protocol.Fingerprint{2}}} {
			n := e.newUpload(c.name)
			n.Size, n.Fingerprint = c.size, c.fp
			e.begin(n)
			if i < 2 {
				want = append([]protocol.UID{n.UID}, want...)
			}
		}
		list, err := e.db.OpenUploads(e.ctx, alice, "x", size, fp)
		e.ok(err)
		e.same("newest first", uidsOf(list), want)
		e.ok(e.db.AbortUpload(e.ctx, alice, want[0]))
		list, err = e.db.OpenUploads(e.ctx, alice, "x", size, fp)
		e.ok(err)
		e.same("without the aborted", uidsOf(list), want[1:])
	},
	"pages of open uploads": func(e *env) {
		var all []protocol.UID
		for range 5 {
			all = append([]protocol.UID{e.begin(e.newUpload("x")).UID}, all...)
		}
		e.put("committed", 1, 5)
		first, err := e.db.Uploads(e.ctx, alice, 3, 0)
		e.ok(err)
		e.same("first page", uidsOf(first), all[:3])
		second, err := e.db.Uploads(e.ctx, alice, 3, first[2].UID)
		e.ok(err)
		e.same("second page", uidsOf(second), all[3:])
	},
	"touch": func(e *env) {
		u := e.begin(e.newUpload("x"))
		e.clock.Add(time.Minute)
		e.ok(e.db.TouchUpload(e.ctx, alice, u.UID))
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("touched", got.TouchedAt, e.clock.Now())
		e.same("gen", got.Gen, 0)
		e.kind(e.db.TouchUpload(e.ctx, alice, 77), protocol.KindNotFound)
		done, _ := e.put("y", 1, 5)
		e.kind(e.db.TouchUpload(e.ctx, alice, done.UID), protocol.KindCommitted)
	},
	"abort dooms everything the upload has": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		writing, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.record(u.UID, part(2, own, 0, 5))
		e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
		for _, b := range []meta.BlobID{u.Blob, own, writing} {
			e.blobState(b, meta.BlobDoomed)
		}
		e.kind(e.db.AbortUpload(e.ctx, alice, u.UID), protocol.KindNotFound)
		_, err = e.db.Upload(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindNotFound)
		_, _, err = e.db.Parts(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.RecordPart(e.ctx, alice, u.UID, part(3, own, 0, 5))
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.Commit(e.ctx, e.commitOf(u, 2, 1, 0))
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.LoseBlob(e.ctx, u.UID, own), protocol.KindNotFound)
		e.ok(e.db.DropPart(e.ctx, u.UID, 1, 1))
	},
	"an expired upload is not found": func(e *env) {
		n := e.newUpload("x")
		at, size, fp := e.clock.Now().Add(time.Second), int64(5), protocol.Fingerprint{1}
		n.ExpiresAt, n.Size, n.Fingerprint = &at, &size, &fp
		u := e.begin(n)
		e.clock.Add(time.Second)
		_, err := e.db.Upload(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindNotFound)
		_, _, err = e.db.Parts(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.TouchUpload(e.ctx, alice, u.UID), protocol.KindNotFound)
		e.kind(e.db.AbortUpload(e.ctx, alice, u.UID), protocol.KindNotFound)
		_, err = e.db.Commit(e.ctx, e.commitOf(u, 0, 1, 0))
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.RecordPart(e.ctx, alice, u.UID, part(1, u.Blob, 0, 5))
		e.kind(err, protocol.KindNotFound)
		open, err := e.db.OpenUploads(e.ctx, alice, "x", size, fp)
		e.ok(err)
		list, err := e.db.Uploads(e.ctx, alice, 10, 0)
		e.ok(err)
		e.same("listed", len(open)+len(list), 0)
	},
}

func uidsOf(list []meta.Upload) (uids []protocol.UID) {
	for _, u := range list {
		uids = append(uids, u.UID)
	}
	return uids
}
