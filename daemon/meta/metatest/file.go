package metatest

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var fileTests = map[string]func(*env){
	"only committed files are found": func(e *env) {
		u := e.begin(e.newUpload("x"))
		_, err := e.db.File(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.DeleteFile(e.ctx, alice, u.UID), protocol.KindNotFound)
		_, err = e.db.PatchFile(e.ctx, alice, u.UID, meta.FilePatch{})
		e.kind(err, protocol.KindNotFound)
		_, _, err = e.db.Content(e.ctx, alice, u.UID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.File(e.ctx, alice, 77)
		e.kind(err, protocol.KindNotFound)
	},
	"a read that was given up is not a missing file": func(e *env) {
		u, _ := e.put("x", 1, 5)
		ctx, cancel := context.WithCancel(e.ctx)
		for range 2 * runtime.NumCPU() { // every reader has a connection
			_, err := e.db.File(ctx, alice, u.UID)
			e.ok(err)
		}
		cancel()
		for range 50 {
			_, fileErr := e.db.File(ctx, alice, u.UID)
			_, uploadErr := e.db.Upload(ctx, alice, u.UID)
			_, _, contentErr := e.db.Content(ctx, alice, u.UID)
			_, _, partsErr := e.db.Parts(ctx, alice, u.UID)
			for _, err := range []error{fileErr, uploadErr, contentErr, partsErr} {
				if !errors.Is(err, context.Canceled) {
					e.Fatalf("got %v", err)
				}
				e.kind(err, protocol.KindInternal)
			}
		}
	},
	"pages and filters": testFiles,
	"patch": func(e *env) {
		n := e.oneShot("x", 1, 5)
		mediaType := "text/plain"
		n.MediaType, n.Meta = &mediaType, map[string]string{"a": "b"}
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		name, expires := "y", e.clock.Now().Add(time.Hour)
		pexpires, none, noTime, noMeta := &expires, (*string)(nil), (*time.Time)(nil), map[string]string(nil)
		got, err := e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{})
		e.ok(err)
		e.same("nothing given, nothing changed", fileText(got), fileText(f))
		got, err = e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{Name: &name, ExpiresAt: &pexpires})
		e.ok(err)
		e.same("patched", []any{got.Name, *got.MediaType, got.Meta, got.ExpiresAt.Time, got.ETag}, []any{"y", "text/plain", n.Meta, expires, f.ETag})
		got, err = e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{MediaType: &none, Meta: &noMeta, ExpiresAt: &noTime})
		e.ok(err)
		e.same("cleared", []any{got.Name, got.MediaType == nil, got.Meta == nil, got.ExpiresAt == nil}, []any{"y", true, true, true})
	},
	"an expired file is not found": func(e *env) {
		_, f := e.put("x", 1, 5)
		now := e.clock.Now()
		pnow := &now
		_, err := e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{ExpiresAt: &pnow})
		e.ok(err)
		_, err = e.db.File(e.ctx, alice, f.UID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.Upload(e.ctx, alice, f.UID)
		e.kind(err, protocol.KindNotFound)
		_, _, err = e.db.Content(e.ctx, alice, f.UID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{})
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.DeleteFile(e.ctx, alice, f.UID), protocol.KindNotFound)
		list, err := e.db.Files(e.ctx, alice, meta.FileQuery{Limit: 10})
		e.ok(err)
		e.same("listed", len(list), 0)
	},
	"the last file takes content and blobs with it": func(e *env) {
		a, _ := e.put("x", 1, 5)
		b, _ := e.put("y", 1, 5)
		_, c, err := e.db.Content(e.ctx, alice, a.UID)
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, a.UID))
		_, err = e.db.File(e.ctx, alice, a.UID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.Upload(e.ctx, alice, a.UID)
		e.kind(err, protocol.KindNotFound)
		e.kind(e.db.DeleteFile(e.ctx, alice, a.UID), protocol.KindNotFound)
		e.blobState(b.Blob, meta.BlobLive)
		e.ok(e.db.DeleteFile(e.ctx, alice, b.UID))
		e.blobState(b.Blob, meta.BlobDoomed)
		_, _, err = e.db.Extents(e.ctx, c.ID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.Blocks(e.ctx, c.ID, 0, 1)
		e.kind(err, protocol.KindNotFound)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		again, _ := e.put("z", 1, 5)
		_, fresh, err := e.db.Content(e.ctx, alice, again.UID)
		e.ok(err)
		if fresh.ID == c.ID {
			e.Fatal("a doomed content came back")
		}
	},
	"a shared blob stays": func(e *env) {
		a, _ := e.put("x", 1, 5)
		u := e.begin(e.newUpload("y"))
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		_, err := e.db.Commit(e.ctx, e.commitOf(u, gen, 2, 10, meta.Extent{Blob: a.Blob, Length: 5}, meta.Extent{Blob: u.Blob, Length: 5}))
		e.ok(err)
		e.same("shared by", e.blob(a.Blob).UIDs, []protocol.UID{a.UID, u.UID})
		e.ok(e.db.DeleteFile(e.ctx, alice, a.UID))
		e.blobState(a.Blob, meta.BlobLive)
		e.ok(e.db.DeleteFile(e.ctx, alice, u.UID))
		e.blobState(a.Blob, meta.BlobDoomed)
		e.blobState(u.Blob, meta.BlobDoomed)
	},
}

func testFiles(e *env) {
	var uids []protocol.UID
	for i, name := range []string{"a/1", "a/2", "b", "a/1", "a0", "é/1"} {
		f, err := e.db.PutFile(e.ctx, e.oneShot(name, byte(1+i%2), 5), nil)
		e.ok(err)
		uids = append(uids, f.UID)
	}
	e.begin(e.newUpload("a/open"))
	digest := protocol.Digest{2}
	for _, c := range []struct {
		what string
		q    meta.FileQuery
		want []int
	}{
		{"all", meta.FileQuery{Limit: 10}, []int{5, 4, 3, 2, 1, 0}},
		{"first page", meta.FileQuery{Limit: 2}, []int{5, 4}},
		{"next page", meta.FileQuery{Limit: 2, Before: uids[4]}, []int{3, 2}},
		{"name", meta.FileQuery{Limit: 10, Name: "a/1"}, []int{3, 0}},
		{"name, next page", meta.FileQuery{Limit: 10, Name: "a/1", Before: uids[3]}, []int{0}},
		{"prefix", meta.FileQuery{Limit: 10, Prefix: "a/"}, []int{3, 1, 0}},
		{"prefix of letters", meta.FileQuery{Limit: 10, Prefix: "a"}, []int{4, 3, 1, 0}},
		{"prefix beyond ASCII", meta.FileQuery{Limit: 10, Prefix: "é"}, []int{5}},
		{"digest", meta.FileQuery{Limit: 10, Digest: &digest}, []int{5, 3, 1}},
		{"digest and prefix", meta.FileQuery{Limit: 10, Digest: &digest, Prefix: "a/"}, []int{3, 1}},
		{"all at once", meta.FileQuery{Limit: 1, Digest: &digest, Prefix: "a", Name: "a/1", Before: uids[5]}, []int{3}},
		{"nothing", meta.FileQuery{Limit: 10, Name: "none"}, nil},
	} {
		list, err := e.db.Files(e.ctx, alice, c.q)
		e.ok(err)
		var got, want []protocol.UID
		for _, f := range list {
			got = append(got, f.UID)
		}
		for _, i := range c.want {
			want = append(want, uids[i])
		}
		e.same(c.what, got, want)
	}
}
