package metatest

import (
	"errors"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var anewTests = map[string]func(*env){
	"the home of an upload is the one it began with": func(e *env) {
		n := e.newUpload("x")
		n.Size, n.Node = nil, "aaaa"
		u := e.begin(n)
		e.same("begun", u.Node, "aaaa")
		again := anewOf(u, true)
		again.Node = "bbbb"
		e.ok(e.db.BeginAnew(e.ctx, again))
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("anew", got.Node, "aaaa")
		e.same("of a shared store", e.begin(e.newUpload("y")).Node, "")
	},
	"what is sent whole is sent in chunks, and the other way round": func(e *env) {
		u := e.beginUnsized("x", false)
		e.ok(e.db.ReserveUpload(e.ctx, alice, u.UID, 7))
		writing := e.newBlobFor(u, 5)
		dropped := e.record(u.UID, part(1, u.Blob, 0, 5))
		e.ok(e.db.DropPart(e.ctx, u.UID, 1, dropped))
		e.clock.Add(time.Second)
		n := anewOf(u, true)
		n.PartSize = 2 * protocol.MinPartSize
		e.ok(e.db.BeginAnew(e.ctx, n))
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("in chunks", []any{got.Chunks, got.Blob, got.InPlace == nil, got.PartSize, got.Gen, got.TouchedAt, got.Reserved, e.usageNow()},
			[]any{true, 0, true, n.PartSize, 3, e.clock.Now(), 7, meta.Usage{Bytes: 7, Files: 1, Uploads: 1}})
		e.blobState(u.Blob, meta.BlobDoomed)
		e.blobState(writing, meta.BlobDoomed)
		writing = e.newBlobFor(u, 5)
		c := e.newChunk(u.UID, 1, 5, 1)
		c.After = bytesOf("a")
		held, _, err := e.db.RecordChunk(e.ctx, alice, u.UID, c)
		e.ok(err)
		e.ok(e.db.DropPart(e.ctx, u.UID, 1, held.Gen))
		n = anewOf(u, false)
		b := e.newBlob(0)
		n.InPlace = &b
		e.ok(e.db.BeginAnew(e.ctx, n))
		got, err = e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("whole", []any{got.Chunks, got.InPlace.Key, got.PartSize, got.Gen, got.InOrder.Next, len(got.InOrder.State)}, []any{false, b.Key, n.PartSize, 6, 1, 0})
		e.blobState(got.Blob, meta.BlobWriting)
		e.blobState(writing, meta.BlobDoomed)
		e.blobState(held.Blob, meta.BlobLive)
		e.same("offered", e.blob(held.Blob).Offered, true)
		e.record(u.UID, part(1, got.Blob, 0, 5))
		e.ok(e.db.CheckDatabase(e.ctx))
		e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
		e.blobState(got.Blob, meta.BlobDoomed)
		e.same("usage", e.usageNow(), meta.Usage{})
	},
	"what was on its way is not recorded": func(e *env) {
		u := e.beginUnsized("x", false)
		inPlace, own := part(1, u.Blob, 0, 5), part(2, e.newBlobFor(u, 5), 5, 5)
		refused := func(want protocol.Kind) {
			e.Helper()
			for _, p := range []meta.NewPart{inPlace, own} {
				_, err := e.db.RecordPart(e.ctx, alice, u.UID, p)
				e.kind(err, want)
			}
		}
		e.ok(e.db.BeginAnew(e.ctx, anewOf(u, true)))
		refused(protocol.KindConflict)
		c := e.newChunk(u.UID, 1, 5, 1)
		e.ok(e.db.BeginAnew(e.ctx, anewOf(u, false)))
		refused(protocol.KindStoreUnavailable)
		_, _, err := e.db.RecordChunk(e.ctx, alice, u.UID, c)
		e.kind(err, protocol.KindConflict)
		e.ok(e.db.BeginAnew(e.ctx, anewOf(u, true)))
		_, _, err = e.db.RecordChunk(e.ctx, alice, u.UID, c)
		e.kind(err, protocol.KindStoreUnavailable)
		stale := e.commitOf(u, 0, 1, 0)
		if _, err := e.db.Commit(e.ctx, stale); !isGenChanged(err) {
			e.Fatalf("a commit of before gave %v", err)
		}
		parts, _, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("parts", len(parts), 0)
	},
	"what is held stays": func(e *env) {
		whole, chunks, sized := e.beginUnsized("x", false), e.beginUnsized("y", true), e.begin(e.newSized("z", 5))
		e.record(whole.UID, part(1, whole.Blob, 0, 5))
		held := e.chunk(chunks.UID, 2, 5, 1)
		for _, u := range []meta.Upload{whole, chunks, sized} {
			before, err := e.db.Upload(e.ctx, alice, u.UID)
			e.ok(err)
			for _, inChunks := range []bool{true, false} {
				e.kind(e.db.BeginAnew(e.ctx, anewOf(u, inChunks)), protocol.KindConflict)
			}
			after, err := e.db.Upload(e.ctx, alice, u.UID)
			e.ok(err)
			e.same(u.Name, []any{after.Chunks, after.Blob, after.Gen, after.TouchedAt}, []any{before.Chunks, before.Blob, before.Gen, before.TouchedAt})
		}
		e.blobState(whole.Blob, meta.BlobLive)
		e.blobState(held.Blob, meta.BlobLive)
	},
	"what is not open, or another's, does not begin anew": func(e *env) {
		u := e.beginUnsized("x", false)
		n := anewOf(u, true)
		n.Owner = bob
		e.kind(e.db.BeginAnew(e.ctx, n), protocol.KindNotFound)
		n.Owner, n.UID = alice, 999
		e.kind(e.db.BeginAnew(e.ctx, n), protocol.KindNotFound)
		e.ok(e.db.AbortUpload(e.ctx, alice, u.UID))
		e.kind(e.db.BeginAnew(e.ctx, anewOf(u, true)), protocol.KindNotFound)
		done := e.beginUnsized("y", false)
		_, err := e.db.Commit(e.ctx, e.commitOf(done, 0, 1, 0))
		e.ok(err)
		e.kind(e.db.BeginAnew(e.ctx, anewOf(done, true)), protocol.KindCommitted)
	},
	"nothing begins anew in a store that is closed": func(e *env) {
		u := e.beginUnsized("x", true)
		writing := e.newBlobFor(u, 5)
		e.ok(e.db.CloseStore(e.ctx, "disk", "other"))
		n := anewOf(u, false)
		b := e.newBlob(0)
		n.InPlace = &b
		if err := e.db.BeginAnew(e.ctx, n); !errors.Is(err, meta.ErrStoreClosed) {
			e.Fatalf("got %v", err)
		}
		got, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("in chunks", []any{got.Chunks, got.Gen}, []any{true, 0})
		e.blobState(writing, meta.BlobWriting)
	},
}

// beginUnsized begins an upload of alice's without a size.
func (e *env) beginUnsized(name string, chunks bool) meta.Upload {
	e.Helper()
	n := e.newUpload(name)
	n.Size, n.Chunks = nil, chunks
	if chunks {
		n.InPlace = nil
	}
	return e.begin(n)
}

func (e *env) newSized(name string, size int64) meta.NewUpload {
	n := e.newUpload(name)
	n.Size = &size
	return n
}

// anewOf is u to be sent in chunks or not, without a blob.
func anewOf(u meta.Upload, chunks bool) meta.NewUpload {
	n := u.NewUpload
	n.Chunks, n.InPlace = chunks, nil
	return n
}
