package metatest

import (
	"errors"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var fsckTests = map[string]func(*env){
	"a sound database": func(e *env) {
		e.put("x", 1, 5)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"every blob, over pages": func(e *env) {
		const count = 1203
		for range count {
			_, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
			e.ok(err)
		}
		seen, last := 0, meta.BlobID(0)
		e.ok(e.db.EachBlob(e.ctx, func(b meta.BlobRefs) error {
			if b.ID <= last || b.State != meta.BlobWriting || b.OpenUpload != 0 {
				e.Fatalf("after %d came %+v", last, b)
			}
			seen, last = seen+1, b.ID
			return nil
		}))
		e.same("seen", seen, count)
	},
	"every content with what points to it": func(e *env) {
		a, _ := e.put("x", 1, 2*protocol.BlockSize+1)
		b, _ := e.put("y", 1, 2*protocol.BlockSize+1)
		gone, _ := e.put("z", 2, 5)
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		var got []meta.ContentRefs
		e.ok(e.db.EachContent(e.ctx, func(c meta.ContentRefs) error { got = append(got, c); return nil }))
		e.same("contents", len(got), 2)
		e.same("files", got[0].Files, []protocol.UID{a.UID, b.UID})
		e.same("content", []any{got[0].BlockRows, len(got[0].Extents), *got[0].Digest, got[0].State}, []any{3, 1, protocol.Digest{1}, meta.ContentLive})
		e.same("doomed", []any{got[1].State, len(got[1].Files), len(got[1].Extents), got[1].BlockRows}, []any{meta.ContentDoomed, 0, 0, 0})
	},
	"every open part": func(e *env) {
		u := e.begin(e.newUpload("x"))
		e.record(u.UID, part(2, u.Blob, 5, 5))
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.put("y", 1, 5)
		v := e.begin(e.newUpload("z"))
		e.record(v.UID, part(1, v.Blob, 0, 5))
		var got []any
		e.ok(e.db.EachOpenPart(e.ctx, func(uid protocol.UID, p meta.Part) error {
			got = append(got, uid, p.Number, p.Key)
			return nil
		}))
		e.same("parts", got, []any{u.UID, 1, u.InPlace.Key, u.UID, 2, u.InPlace.Key, v.UID, 1, v.InPlace.Key})
	},
	"an error of the caller ends the walk": func(e *env) {
		e.put("x", 1, 5)
		u := e.begin(e.newUpload("y"))
		e.record(u.UID, part(1, u.Blob, 0, 5))
		stop := errors.New("stop")
		for _, err := range []error{
			e.db.EachBlob(e.ctx, func(meta.BlobRefs) error { return stop }),
			e.db.EachContent(e.ctx, func(meta.ContentRefs) error { return stop }),
			e.db.EachOpenPart(e.ctx, func(protocol.UID, meta.Part) error { return stop }),
		} {
			if !errors.Is(err, stop) {
				e.Fatalf("got %v", err)
			}
		}
	},
}

// soundBlob holds promise 4: a live blob is referred to, or the sweep knows it;
// a writing one has an upload, a job or a request that writes it, or the sweep
// knows it; to a doomed one nothing refers.
func (e *env) soundBlob(b meta.BlobRefs, requested bool) {
	referred := b.Extents > 0 || b.Parts > 0 || b.OpenUpload != 0 || b.Job != 0
	switch b.State {
	case meta.BlobLive, meta.BlobWriting:
		if !referred && !b.Offered && !requested {
			e.Fatalf("nothing refers to blob %+v and the sweep does not know it", b)
		}
	case meta.BlobDoomed, meta.BlobGone:
		if referred || b.Offered {
			e.Fatalf("doomed, and referred to: %+v", b)
		}
	}
	if b.State == meta.BlobWriting && (b.Extents > 0 || b.Parts > 0) {
		e.Fatalf("referred to before it was written: %+v", b)
	}
}
