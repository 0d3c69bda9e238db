package metatest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var commitTests = map[string]func(*env){
	"an object that may go on behind its blob is to be cut": func(e *env) {
		commit := func(d byte, size *int64, length int64, extents ...int64) meta.BlobID {
			n := e.newUpload("x")
			n.Size = size
			u := e.begin(n)
			own, err := e.db.AddBlob(e.ctx, e.newBlob(0), u.UID)
			e.ok(err)
			gen := e.record(u.UID, part(1, u.Blob, 0, extents[0]))
			list := []meta.Extent{{Blob: u.Blob, Length: extents[0]}}
			if len(extents) > 1 {
				gen = e.record(u.UID, part(2, own, extents[0], extents[1]))
				list = append(list, meta.Extent{Blob: own, Length: extents[1]})
			}
			_, err = e.db.Commit(e.ctx, e.commitOf(u, gen, d, length, list...))
			e.ok(err)
			return u.Blob
		}
		seven := int64(7)
		exact := commit(1, &seven, 7, 7)
		elsewhere := commit(2, &seven, 7, 4, 3)
		unknown := commit(3, nil, 7, 7)
		for _, want := range []struct {
			id   meta.BlobID
			size int64
		}{{exact, 0}, {elsewhere, 4}, {unknown, 7}} {
			b, err := e.db.Overlong(e.ctx, want.id)
			e.ok(err)
			e.same("overlong", b != nil, want.size > 0)
			if b != nil {
				e.same("size", b.Size, want.size)
			}
		}
		page, err := e.db.OverlongBlobs(e.ctx, "disk", 0, 1)
		e.ok(err)
		e.same("the first", page[0].ID, elsewhere)
		page, err = e.db.OverlongBlobs(e.ctx, "disk", elsewhere, 10)
		e.ok(err)
		e.same("the rest", []any{len(page), page[0].ID}, []any{1, unknown})
		e.ok(e.db.MarkCut(e.ctx, elsewhere))
		e.ok(e.db.MarkCut(e.ctx, unknown))
		page, err = e.db.OverlongBlobs(e.ctx, "disk", 0, 10)
		e.ok(err)
		e.same("none is left", len(page), 0)
	},
	"a commit makes the file": func(e *env) {
		n := e.newUpload("a/b.txt")
		mediaType := "text/plain"
		n.MediaType, n.Meta = &mediaType, map[string]string{"k": "v"}
		u := e.begin(n)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		gen := e.record(u.UID, part(2, u.Blob, 8, 4))
		e.clock.Add(time.Second)
		c := e.commitOf(u, gen, 1, 9, meta.Extent{Blob: u.Blob, Length: 5}, meta.Extent{Blob: u.Blob, Offset: 8, Length: 4})
		f, err := e.db.Commit(e.ctx, c)
		e.ok(err)
		want := protocol.File{UID: n.UID, Owner: alice, Name: "a/b.txt", Size: 9, ETag: `"1"`, CreatedAt: protocol.TimeOf(n.CreatedAt), CommittedAt: protocol.TimeOf(e.clock.Now())}
		e.same("file", fileText(f), fileText(want))
		e.same("digest", *f.Digest, protocol.Digest{1})
		e.same("media type", *f.MediaType, "text/plain")
		e.same("meta", f.Meta, n.Meta)
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("state", got.State, protocol.UploadCommitted)
		e.same("size", *got.Size, 9)
		e.same("file of the upload", fileText(*got.File), fileText(f))
		b := e.blob(u.Blob)
		e.same("blob", []any{b.State, b.Size, b.Extents, b.Parts, b.OpenUpload, b.UIDs, b.Offered}, []any{meta.BlobLive, 12, 2, 0, 0, []protocol.UID{u.UID}, false})
	},
	"another gen, then again": func(e *env) {
		u := e.begin(e.newUpload("x"))
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		c := e.commitOf(u, gen, 1, 5, meta.Extent{Blob: u.Blob, Length: 5})
		c.Gen = e.record(u.UID, part(2, u.Blob, 5, 5)) - 1
		_, err := e.db.Commit(e.ctx, c)
		if !isGenChanged(err) {
			e.Fatalf("got %v", err)
		}
		parts, _, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("parts stay", len(parts), 2)
		c.Gen++
		_, err = e.db.Commit(e.ctx, c)
		e.ok(err)
		_, err = e.db.Commit(e.ctx, c)
		e.kind(err, protocol.KindCommitted)
		c.UID = 77
		_, err = e.db.Commit(e.ctx, c)
		e.kind(err, protocol.KindNotFound)
	},
	"of eight commits at once one wins": func(e *env) {
		u := e.begin(e.newUpload("x"))
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		var won, committed atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 5, meta.Extent{Blob: u.Blob, Length: 5}))
				switch protocol.KindOf(err) {
				case "":
					won.Add(1)
				case protocol.KindCommitted:
					committed.Add(1)
				}
			})
		}
		wg.Wait()
		e.same("won, committed", []int32{won.Load(), committed.Load()}, []int32{1, 7})
	},
	"blobs that no extent uses are offered": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		straggler, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		gen := e.record(u.UID, part(1, own, 0, 5))
		_, err = e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 5, meta.Extent{Blob: own, Length: 5}))
		e.ok(err)
		e.same("offered", []bool{e.blob(u.Blob).Offered, e.blob(own).Offered, e.blob(straggler).Offered}, []bool{true, false, true})
		_, err = e.db.RecordPart(e.ctx, alice, u.UID, part(2, straggler, 5, 5))
		e.kind(err, protocol.KindCommitted)
		e.ok(e.db.DropBlob(e.ctx, straggler))
		e.blobState(straggler, meta.BlobDoomed)
	},
	"the bytes just received win": func(e *env) {
		first, _ := e.put("x", 1, 5)
		_, before, err := e.db.Content(e.ctx, alice, first.UID)
		e.ok(err)
		second, _ := e.put("y", 1, 5)
		for _, uid := range []protocol.UID{first.UID, second.UID} {
			_, c, err := e.db.Content(e.ctx, alice, uid)
			e.ok(err)
			e.same("content", c.ID, before.ID)
			e.same("gen", c.Gen, before.Gen+1)
			e.same("blob", c.Extents[0].Blob, second.Blob)
		}
		old := e.blob(first.Blob)
		e.same("old blob", []any{old.State, old.Offered, old.Extents}, []any{meta.BlobLive, true, 0})
	},
	"equal digests of other sizes are other contents": func(e *env) {
		a, _ := e.put("x", 1, 5)
		b, _ := e.put("y", 1, 6)
		_, ca, err := e.db.Content(e.ctx, alice, a.UID)
		e.ok(err)
		_, cb, err := e.db.Content(e.ctx, alice, b.UID)
		e.ok(err)
		if ca.ID == cb.ID {
			e.Fatal("one content for two sizes")
		}
	},
	"a damaged content is healed for every file": func(e *env) {
		first, _ := e.put("x", 1, 5)
		second, _ := e.put("y", 1, 5)
		_, c, err := e.db.Content(e.ctx, alice, first.UID)
		e.ok(err)
		stale := c.Gen
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		_, c, err = e.db.Content(e.ctx, alice, second.UID)
		e.ok(err)
		e.same("state", c.State, meta.ContentDamaged)
		third, err := e.db.PutFile(e.ctx, e.oneShot("z", 1, 5), nil)
		e.ok(err)
		for _, uid := range []protocol.UID{first.UID, second.UID, third.UID} {
			_, got, err := e.db.Content(e.ctx, alice, uid)
			e.ok(err)
			e.same("state", []any{got.ID, got.State, got.Gen}, []any{c.ID, meta.ContentLive, c.Gen + 1})
		}
		// What a reader found before the healing says nothing any more.
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, stale))
		_, c, err = e.db.Content(e.ctx, alice, first.UID)
		e.ok(err)
		e.same("state after a late mark", c.State, meta.ContentLive)
	},
	"an unknown digest": func(e *env) {
		u := e.begin(e.newUpload("x"))
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		c := e.commitOf(u, gen, 0, 5, meta.Extent{Blob: u.Blob, Length: 5})
		c.Digest, c.Fingerprint, c.Blocks, c.ETag = nil, nil, nil, fmt.Sprintf(`"u%d"`, u.UID)
		f, err := e.db.Commit(e.ctx, c)
		e.ok(err)
		e.same("digest", f.Digest == nil, true)
		_, got, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		_, err = e.db.Blocks(e.ctx, got.ID, 0, 1)
		e.kind(err, protocol.KindDigestPending)
	},
	"an empty file": func(e *env) {
		u := e.begin(e.newUpload("x"))
		_, err := e.db.Commit(e.ctx, e.commitOf(u, 0, 1, 0))
		e.ok(err)
		f, c, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("empty", []any{f.Size, len(c.Extents), e.blob(u.Blob).Offered}, []any{0, 0, true})
		n := e.oneShot("y", 1, 0)
		n.Blob = nil
		_, err = e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		list, err := e.db.Blocks(e.ctx, c.ID, 0, 1)
		e.ok(err)
		e.same("blocks", len(list), 0)
	},
	"what could not be read back is refused": func(e *env) {
		u := e.begin(e.newUpload("x"))
		gen := e.record(u.UID, part(1, u.Blob, 0, 5))
		short := e.commitOf(u, gen, 1, 6, meta.Extent{Blob: u.Blob, Length: 5})
		fewer := e.commitOf(u, gen, 1, 5, meta.Extent{Blob: u.Blob, Length: 5})
		fewer.Blocks = nil
		missing := e.commitOf(u, gen, 1, 5, meta.Extent{Blob: 7777, Length: 5})
		for _, c := range []meta.Commit{short, fewer} {
			_, err := e.db.Commit(e.ctx, c)
			e.kind(err, protocol.KindInternal)
		}
		_, err := e.db.Commit(e.ctx, missing)
		e.kind(err, protocol.KindStoreUnavailable)
		parts, now, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("nothing changed", []any{len(parts), now}, []any{1, gen})
	},
	"one-shot into a request's blob": func(e *env) {
		n := e.oneShot("x", 1, 5)
		id, err := e.db.AddBlob(e.ctx, *n.Blob, 0)
		e.ok(err)
		e.blobState(id, meta.BlobWriting)
		n.Named = id
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		e.same("times", f.CreatedAt, f.CommittedAt)
		e.blobState(id, meta.BlobLive)
		again := e.oneShot("y", 2, 5)
		again.Blob = n.Blob
		_, err = e.db.PutFile(e.ctx, again, nil)
		e.kind(err, protocol.KindInternal)
		again.Named = id
		_, err = e.db.PutFile(e.ctx, again, nil)
		e.kind(err, protocol.KindStoreUnavailable)
		_, err = e.db.File(e.ctx, alice, again.UID)
		e.kind(err, protocol.KindNotFound)
		gone := e.oneShot("z", 3, 5)
		id, err = e.db.AddBlob(e.ctx, *gone.Blob, 0)
		e.ok(err)
		e.ok(e.db.DropBlob(e.ctx, id))
		gone.Named = id
		_, err = e.db.PutFile(e.ctx, gone, nil)
		e.kind(err, protocol.KindStoreUnavailable)
		e.ok(e.db.MarkGone(e.ctx, []meta.BlobID{id}))
		e.ok(e.db.RemoveTombstones(e.ctx, []meta.BlobID{id}))
		_, err = e.db.PutFile(e.ctx, gone, nil)
		e.kind(err, protocol.KindStoreUnavailable)
	},
}

// fileText prints what can be compared without following pointers.
func fileText(f protocol.File) string {
	return fmt.Sprint(f.UID, f.Owner, f.Name, f.Size, f.ETag, f.CreatedAt, f.CommittedAt)
}
