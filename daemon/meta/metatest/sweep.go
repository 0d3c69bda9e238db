package metatest

import (
	"context"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// sweepAll dooms whatever can be, deletes it and forgets it, as the daemon's
// loop does with a grace of 0.
func (e *env) sweepAll() {
	e.Helper()
	e.sweepBy(3)
}

// sweepBy is sweepAll with as many at a time.
func (e *env) sweepBy(limit int) {
	e.Helper()
	for _, doom := range []func() (int, error){
		func() (int, error) { return e.db.DoomOffered(e.ctx, limit) },
		func() (int, error) { return e.db.DoomOrphans(e.ctx, limit) },
	} {
		for n := limit; n == limit; {
			var err error
			n, err = doom()
			e.ok(err)
		}
	}
	for {
		list, err := e.db.Doomed(e.ctx, "", e.clock.Now(), nil, limit)
		e.ok(err)
		if len(list) == 0 {
			return
		}
		e.ok(e.db.MarkGone(e.ctx, idsOf(list)))
	}
}

func idsOf(list []meta.Blob) (ids []meta.BlobID) {
	for _, b := range list {
		ids = append(ids, b.ID)
	}
	return ids
}

// offered makes a live blob that nothing refers to and the sweep knows.
func (e *env) offered(uid protocol.UID) meta.BlobID {
	e.Helper()
	id, err := e.db.AddBlob(e.ctx, e.newBlob(5), uid)
	e.ok(err)
	gen := e.record(uid, part(9, id, 0, 5))
	e.ok(e.db.DropPart(e.ctx, uid, 9, gen))
	return id
}

var sweepTests = map[string]func(*env){
	"what was offered is doomed unless it is used": func(e *env) {
		first, _ := e.put("x", 1, 5)
		u := e.begin(e.newUpload("y"))
		idle, used := e.offered(u.UID), e.offered(u.UID)
		e.record(u.UID, part(2, used, 0, 5))
		e.put("z", 1, 5) // offers the blob of the first
		n, err := e.db.DoomOffered(e.ctx, 2)
		e.ok(err)
		e.same("looked at", n, 2)
		n, err = e.db.DoomOffered(e.ctx, 2)
		e.ok(err)
		e.same("looked at", n, 1)
		n, err = e.db.DoomOffered(e.ctx, 2)
		e.ok(err)
		e.same("none is left", n, 0)
		e.blobState(idle, meta.BlobDoomed)
		e.blobState(first.Blob, meta.BlobDoomed)
		e.blobState(used, meta.BlobLive)
		e.blobState(u.Blob, meta.BlobWriting)
		e.same("off the list", e.blob(used).Offered, false)
		_, err = e.db.RecordPart(e.ctx, alice, u.UID, part(3, idle, 0, 5))
		e.kind(err, protocol.KindStoreUnavailable)
	},
	"orphans": func(e *env) {
		u := e.begin(e.newUpload("x"))
		mine, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		request, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		e.ok(err)
		sweep := func(want int) {
			e.Helper()
			n, err := e.db.DoomOrphans(e.ctx, 10)
			e.ok(err)
			e.same("doomed", n, want)
		}
		sweep(0)
		e.clock.Add(time.Hour - time.Millisecond)
		sweep(0)
		e.clock.Add(time.Millisecond)
		young, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		e.ok(err)
		sweep(1)
		e.blobState(request, meta.BlobDoomed)
		for _, b := range []meta.BlobID{mine, u.Blob, young} {
			e.blobState(b, meta.BlobWriting)
		}
		n := e.oneShot("late", 1, 5)
		n.Blob, n.Named = &meta.NewBlob{Store: "disk", Key: e.blob(request).Key, Size: 5}, request
		_, err = e.db.PutFile(e.ctx, n, nil)
		e.kind(err, protocol.KindStoreUnavailable)
		// A straggler that is still writing when its upload is committed.
		e.record(u.UID, part(1, u.Blob, 0, 5))
		_, err = e.db.Commit(e.ctx, e.commitOf(u, 1, 1, 5, meta.Extent{Blob: u.Blob, Length: 5}))
		e.ok(err)
		sweep(1)
		e.blobState(mine, meta.BlobDoomed)
		e.blobState(u.Blob, meta.BlobLive)
	},
	"what requests left": func(e *env) {
		u := e.begin(e.newUpload("x"))
		mine, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		request, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		e.ok(err)
		for _, want := range []int{1, 0} {
			n, err := e.db.DoomRequests(e.ctx, 10)
			e.ok(err)
			e.same("doomed", n, want)
		}
		e.blobState(request, meta.BlobDoomed)
		e.blobState(mine, meta.BlobWriting)
	},
	"orphans are bounded": func(e *env) {
		for range 5 {
			_, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
			e.ok(err)
		}
		e.clock.Add(2 * time.Hour)
		for _, want := range []int{3, 2, 0} {
			n, err := e.db.DoomOrphans(e.ctx, 3)
			e.ok(err)
			e.same("doomed", n, want)
		}
	},
	"from doomed to forgotten": func(e *env) {
		var blobs []meta.BlobID
		for d := range 3 {
			u, f := e.put("x", byte(d+1), 5)
			e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
			blobs = append(blobs, u.Blob)
			e.clock.Add(time.Minute)
		}
		live, _ := e.put("y", 9, 5)
		start := e.clock.Now()
		list, err := e.db.Doomed(e.ctx, "", start.Add(-2*time.Minute), nil, 10)
		e.ok(err)
		e.same("doomed until then, oldest first", idsOf(list), blobs[:2])
		e.same("blob", []any{list[0].Store, list[0].Size, list[0].State, *list[0].DoomedAt}, []any{"disk", 5, meta.BlobDoomed, start.Add(-3 * time.Minute)})
		list, err = e.db.Doomed(e.ctx, "", start, nil, 1)
		e.ok(err)
		e.same("limit", idsOf(list), blobs[:1])
		e.inStores("doomed", e.db.Doomed, blobs)

		e.ok(e.db.MarkGone(e.ctx, []meta.BlobID{blobs[1], blobs[0], live.Blob, 7777}))
		e.blobState(blobs[0], meta.BlobGone)
		e.blobState(live.Blob, meta.BlobLive)
		e.same("gone at", *e.blob(blobs[0]).GoneAt, start)
		list, err = e.db.Doomed(e.ctx, "", start, nil, 10)
		e.ok(err)
		e.same("still doomed", idsOf(list), blobs[2:])

		e.inStores("gone", e.db.Tombstones, blobs[:2])
		list, err = e.db.Tombstones(e.ctx, "", start.Add(-time.Millisecond), nil, 10)
		e.ok(err)
		e.same("no tombstone is so old", len(list), 0)
		list, err = e.db.Tombstones(e.ctx, "", start, nil, 1)
		e.ok(err)
		e.same("tombstones", []any{idsOf(list), list[0].State, *list[0].GoneAt}, []any{blobs[:1], meta.BlobGone, start})
		e.ok(e.db.MarkGone(e.ctx, blobs[:1]))
		e.ok(e.db.RemoveTombstones(e.ctx, []meta.BlobID{blobs[0], blobs[2], live.Blob}))
		e.same("rows", e.blobCount(), 3)
		e.blobState(blobs[2], meta.BlobDoomed)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"prune": func(e *env) {
		_, f := e.put("x", 1, 5)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.ok(e.db.AbortUpload(e.ctx, alice, e.begin(e.newUpload("y")).UID))
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.end(e.leaseAll(one, 1, protocol.JobScrub)[0], meta.ResultDone)
		at := e.clock.Now()
		e.clock.Add(time.Second)
		_, kept := e.put("z", 2, 5)
		_, later := e.put("later", 3, 5)
		e.ok(e.db.DeleteFile(e.ctx, alice, later.UID))
		open := e.begin(e.newUpload("open"))
		e.ok(e.db.EnqueueScrub(e.ctx, 8))
		for _, want := range []int{3, 1, 0} {
			n, err := e.db.Prune(e.ctx, at, 3)
			e.ok(err)
			e.same("pruned", n, want)
		}
		contents := 0
		e.ok(e.db.EachContent(e.ctx, func(meta.ContentRefs) error { contents++; return nil }))
		e.same("contents", contents, 2)
		_, err := e.db.File(e.ctx, alice, kept.UID)
		e.ok(err)
		_, err = e.db.Upload(e.ctx, alice, open.UID)
		e.ok(err)
		e.same("jobs", e.scrubs(), []meta.ContentID{8})
		e.ok(e.db.CheckDatabase(e.ctx))
		again := e.newUpload("a uid that was pruned")
		again.UID = f.UID
		e.begin(again)
	},
	"a thousand puts and deletes leave nothing": func(e *env) {
		for i := range 1000 {
			f, err := e.db.PutFile(e.ctx, e.oneShot("x", byte(i%7), 5), nil)
			e.ok(err)
			e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		}
		e.sweepAll()
		for {
			list, err := e.db.Tombstones(e.ctx, "", e.clock.Now(), nil, 300)
			e.ok(err)
			if len(list) == 0 {
				break
			}
			e.ok(e.db.RemoveTombstones(e.ctx, idsOf(list)))
		}
		for n := 500; n > 0; {
			var err error
			n, err = e.db.Prune(e.ctx, e.clock.Now(), 500)
			e.ok(err)
		}
		e.same("blobs", e.blobCount(), 0)
		e.ok(e.db.EachContent(e.ctx, func(c meta.ContentRefs) error { e.Fatalf("left: %+v", c); return nil }))
		used, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", used, meta.Usage{})
	},
}

var expiryTests = map[string]func(*env){
	"expired files and uploads end": func(e *env) {
		at := e.clock.Now().Add(time.Hour)
		n := e.oneShot("x", 1, 5)
		n.ExpiresAt = &at
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		shared, err := e.db.PutFile(e.ctx, e.oneShot("y", 1, 5), nil)
		e.ok(err)
		up := e.newUpload("z")
		up.ExpiresAt = &at
		u := e.begin(up)
		e.record(u.UID, part(1, u.Blob, 0, 5))
		e.clock.Add(time.Hour - time.Millisecond)
		n0, err := e.db.ExpireFiles(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		e.same("not yet", n0, 0)
		e.clock.Add(time.Millisecond)
		for _, want := range []int{1, 1, 0} {
			n, err := e.db.ExpireFiles(e.ctx, e.clock.Now(), 1)
			e.ok(err)
			e.same("ended", n, want)
		}
		e.blobState(u.Blob, meta.BlobDoomed)
		_, err = e.db.File(e.ctx, alice, f.UID)
		e.kind(err, protocol.KindNotFound)
		_, c, err := e.db.Content(e.ctx, alice, shared.UID)
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, shared.UID))
		e.blobState(c.Extents[0].Blob, meta.BlobDoomed)
		used, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", used, meta.Usage{})
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"the last file takes its content along, in one go": func(e *env) {
		at := e.clock.Now().Add(time.Hour)
		var blob meta.BlobID
		for _, owner := range []protocol.Owner{alice, bob, alice} {
			n := e.oneShot("x", 1, 5)
			n.Owner, n.ExpiresAt = owner, &at
			f, err := e.db.PutFile(e.ctx, n, nil)
			e.ok(err)
			_, c, err := e.db.Content(e.ctx, owner, f.UID)
			e.ok(err)
			blob = c.Extents[0].Blob
		}
		e.clock.Add(time.Hour)
		n, err := e.db.ExpireFiles(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		e.same("ended", n, 3)
		e.blobState(blob, meta.BlobDoomed)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"idle uploads are abandoned": func(e *env) {
		old, touched := e.begin(e.newUpload("old")), e.begin(e.newUpload("touched"))
		done, _ := e.put("done", 1, 5)
		e.clock.Add(time.Hour)
		bound := e.clock.Now()
		e.ok(e.db.TouchUpload(e.ctx, alice, touched.UID))
		for _, want := range []int{1, 0} {
			n, err := e.db.AbandonUploads(e.ctx, bound, 10)
			e.ok(err)
			e.same("abandoned", n, want)
		}
		_, err := e.db.Upload(e.ctx, alice, old.UID)
		e.kind(err, protocol.KindNotFound)
		e.blobState(old.Blob, meta.BlobDoomed)
		for _, uid := range []protocol.UID{touched.UID, done.UID} {
			_, err := e.db.Upload(e.ctx, alice, uid)
			e.ok(err)
		}
		e.clock.Add(time.Hour)
		for range 3 {
			e.begin(e.newUpload("more"))
		}
		for _, want := range []int{2, 2, 0} {
			n, err := e.db.AbandonUploads(e.ctx, e.clock.Now().Add(time.Hour), 2)
			e.ok(err)
			e.same("abandoned", n, want)
		}
		e.ok(e.db.CheckDatabase(e.ctx))
	},
}

// inStores lists, page by page, what is doomed or gone of one store, and of another.
func (e *env) inStores(what string, list func(context.Context, string, time.Time, *meta.Blob, int) ([]meta.Blob, error), want []meta.BlobID) {
	e.Helper()
	var got []meta.BlobID
	for after := (*meta.Blob)(nil); ; {
		page, err := list(e.ctx, "disk", e.clock.Now(), after, 1)
		e.ok(err)
		if len(page) == 0 {
			break
		}
		got, after = append(got, page[0].ID), &page[0]
	}
	e.same(what+" in the store", got, want)
	page, err := list(e.ctx, "another", e.clock.Now(), nil, 10)
	e.ok(err)
	e.same(what+" in another", len(page), 0)
}
