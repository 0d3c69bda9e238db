package metatest

import (
	"errors"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var storesTests = map[string]func(*env){
	"known stores have a type": func(e *env) {
		e.ok(e.db.RememberStore(e.ctx, "disk"))
		e.ok(e.db.RememberStore(e.ctx, "old"))
		e.ok(e.db.NoteStoreType(e.ctx, "disk", "oss"))
		e.ok(e.db.NoteStoreType(e.ctx, "disk", "local"))
		e.ok(e.db.CloseStore(e.ctx, "disk", "old"))
		known, err := e.db.KnownStores(e.ctx)
		e.ok(err)
		e.same("known", known, map[string]string{"disk": "local", "old": ""})
	},
	"the home of a store is forgotten": func(e *env) {
		for _, store := range []string{"disk", "disk2"} {
			_, err := e.db.ClaimStoreHome(e.ctx, store, "a")
			e.ok(err)
		}
		e.ok(e.db.ForgetStoreHome(e.ctx, "disk"))
		e.ok(e.db.ForgetStoreHome(e.ctx, "none"))
		homes, err := e.db.StoreHomes(e.ctx)
		e.ok(err)
		e.same("homes", homes, map[string]meta.NodeID{"disk2": "a"})
	},
	"the home of a store is claimed once, and moves with its folder": func(e *env) {
		for _, node := range []meta.NodeID{"a", "b"} {
			home, err := e.db.ClaimStoreHome(e.ctx, "disk", node)
			e.ok(err)
			e.same("home", home, "a")
		}
		n := e.newUpload("x")
		n.Node = "a"
		u := e.begin(n)
		// Those of the same node with nothing yet, and with bytes on another disk.
		n = e.newUpload("nowhere")
		n.Node, n.InPlace = "a", nil
		nowhere := e.begin(n)
		n = e.newUpload("on another disk")
		n.Node, n.InPlace.Store = "a", "disk2"
		beside := e.begin(n)
		// And what waits for it: to move the store or to fill it, and things of its other
		// disk and of others.
		jobs := map[protocol.JobID]bool{}
		for subject, goes := range map[string]bool{"disk>s3": true, "s3>disk": true, "disk2>s3": false, "s3>disk2": false} {
			jobs[e.bound(protocol.JobMigrate, subject, "a")] = goes
		}
		jobs[e.bound(protocol.JobSweep, "disk>s3", "a")] = false
		jobs[e.bound(protocol.JobMigrate, "disk>other", "c")] = false
		e.ok(e.db.MoveStoreHome(e.ctx, "disk", "c", "b"))
		e.ok(e.db.MoveStoreHome(e.ctx, "none", "a", "b"))
		is := func(node meta.NodeID) {
			e.Helper()
			homes, err := e.db.StoreHomes(e.ctx)
			e.ok(err)
			e.same("homes", homes, map[string]meta.NodeID{"disk": node})
			for _, of := range []struct {
				meta.Upload
				home meta.NodeID
			}{{u, node}, {nowhere, node}, {beside, "a"}} {
				got, err := e.db.Upload(e.ctx, alice, of.UID)
				e.ok(err)
				e.same("home of upload "+got.Name, got.Node, of.home)
			}
			for id, goes := range jobs {
				j, err := e.db.Job(e.ctx, meta.AnyOwner, id)
				e.ok(err)
				if j.Node != "c" {
					e.same("job "+string(j.Kind)+" "+j.Subject+" moved", j.Node == "b", goes && node == "b")
				}
			}
		}
		is("a")
		e.ok(e.db.MoveStoreHome(e.ctx, "disk", "a", "b"))
		is("b")
	},
	"stores of which there are blobs": func(e *env) {
		e.namedAre(nil)
		e.ok(e.db.RememberStore(e.ctx, "known"))
		e.putShot("a", 1, 5)
		e.putShot("b", 2, 5)
		for _, name := range []string{"Zoo", "a store", "zoo"} {
			b := e.newBlob(5)
			b.Store = name
			id, err := e.db.AddBlob(e.ctx, b, 0)
			e.ok(err)
			e.ok(e.db.DropBlob(e.ctx, id))
		}
		e.namedAre([]string{"Zoo", "a store", "disk", "zoo"})
	},
	"a store is closed until its blobs come back": func(e *env) {
		for _, c := range []struct {
			from, to string
			want     map[string]string
		}{
			{"a", "b", map[string]string{"a": "b"}},
			{"a", "c", map[string]string{"a": "c"}},
			{"b", "c", map[string]string{"a": "c", "b": "c"}},
			{"c", "a", map[string]string{"b": "a", "c": "a"}},
			{"c", "a", map[string]string{"b": "a", "c": "a"}},
			{"b", "c", map[string]string{"b": "c"}},
			{"c", "d", map[string]string{"b": "d", "c": "d"}},
		} {
			e.ok(e.db.CloseStore(e.ctx, c.from, c.to))
			closed, err := e.db.ClosedStores(e.ctx)
			e.ok(err)
			e.same(c.from+" is closed for "+c.to, closed, c.want)
		}
	},
	"nobody names a blob in a closed store": func(e *env) {
		request := e.newBlob(5)
		id, err := e.db.AddBlob(e.ctx, request, 0)
		e.ok(err)
		open := e.begin(e.newUpload("open"))
		e.writingIs(1)
		e.ok(e.db.CloseStore(e.ctx, "disk", "other"))
		refused := func(what string, err error) {
			e.Helper()
			if !errors.Is(err, meta.ErrStoreClosed) {
				e.Errorf("%s: %v", what, err)
			}
		}
		_, err = e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		refused("of a request", err)
		_, err = e.db.AddBlob(e.ctx, e.newBlob(5), open.UID)
		refused("of an upload", err)
		_, err = e.db.BeginUpload(e.ctx, e.newUpload("another"), nil)
		refused("of a new upload", err)
		_, err = e.db.PutFile(e.ctx, e.oneShot("small", 1, 5), nil)
		refused("of a small file", err)
		named := e.oneShot("named before", 1, 5)
		named.Blob, named.Named = &request, id
		_, err = e.db.PutFile(e.ctx, named, nil)
		e.ok(err)
		e.writingIs(0)
		e.openIs("disk", 1)
		e.ok(e.db.CloseStore(e.ctx, "other", "disk"))
		_, err = e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		e.ok(err)
	},
	"what lies in a store is counted": func(e *env) {
		e.countIs("disk", 0, 0)
		e.putShot("a", 1, 5)
		gone := e.putShot("b", 2, 7)
		_, shared := e.put("c", 3, 11)
		e.put("d", 3, 11) // the bytes received win: the blob before is of no use
		_, err := e.db.AddBlob(e.ctx, meta.NewBlob{Store: "disk", Key: "writing", Size: 100}, 0)
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		e.sweepAll()
		e.countIs("disk", 2, 16)
		e.countIs("dis", 0, 0)
		e.countIs("disk2", 0, 0)
		e.ok(e.db.DeleteFile(e.ctx, alice, shared.UID))
		e.sweepAll()
		e.countIs("disk", 2, 16)
	},
	"the blobs of a store with their contents": func(e *env) {
		_, a := e.contentOf(e.putShot("a", 1, 5).UID)
		unknown := e.commitUnknown("b", 7)
		damaged := e.putShot("c", 3, 9)
		_, d := e.contentOf(damaged.UID)
		e.ok(e.db.MarkDamaged(e.ctx, d.ID, d.Gen))
		other := e.oneShot("elsewhere", 4, 3)
		other.Blob.Store = "other"
		_, err := e.db.PutFile(e.ctx, other, nil)
		e.ok(err)
		open := e.begin(e.newUpload("open"))
		e.record(open.UID, meta.NewPart{Number: 1, Length: 1, Blob: open.Blob, Blocks: []protocol.Block{{}}})
		_, u := e.contentOf(unknown.UID)
		all := e.stored(0, 10)
		e.same("blobs", len(all), 3)
		e.same("contents", [][]meta.StoredContent{all[0].Contents, all[1].Contents, all[2].Contents}, [][]meta.StoredContent{
			{{ID: a.ID, Size: 5, State: meta.ContentLive, DigestKnown: true}}, {{ID: u.ID, Size: 7, State: meta.ContentLive}},
			{{ID: d.ID, Size: 9, State: meta.ContentDamaged, DigestKnown: true}},
		})
		e.same("sizes", []int64{all[0].Size, all[1].Size, all[2].Size}, []int64{5, 7, 9})
		e.same("the first", e.stored(0, 1), all[:1])
		e.same("those after it", e.stored(all[0].Blob, 10), all[1:])
		e.same("behind the last", len(e.stored(all[2].Blob, 10)), 0)
		uids, err := e.db.FilesOf(e.ctx, d.ID, 5)
		e.ok(err)
		e.same("files", uids, []protocol.UID{damaged.UID})
	},
	"what is left in a store": func(e *env) {
		e.leftIs("disk", meta.Left{})
		e.putShot("a", 1, 5)
		e.commitUnknown("b", 7)
		var damaged []meta.ContentID
		for i := range byte(3) {
			_, c := e.contentOf(e.putShot("damaged", 3+i, 9).UID)
			e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
			damaged = append(damaged, c.ID)
		}
		gone := e.putShot("gone", 9, 3)
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		open := e.begin(e.newUpload("open"))
		e.record(open.UID, meta.NewPart{Number: 1, Length: 1, Blob: open.Blob, Blocks: []protocol.Block{{}}})
		e.leftIs("disk", meta.Left{Contents: 2, Damaged: 3, Some: damaged[:2]})
		e.leftIs("other", meta.Left{})
	},
	"what a store is needed for": func(e *env) {
		e.useIs("disk", meta.StoreUnused)
		f := e.putShot("a", 1, 5)
		e.useIs("disk", meta.StoreUsed)
		e.useIs("other", meta.StoreUnused)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.useIs("disk", meta.StoreSwept)
		e.sweepAll()
		e.useIs("disk", meta.StoreUnused)
		_, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		e.ok(err)
		e.useIs("disk", meta.StoreSwept)
		o := e.object("foreign", 7)
		o.Store = "other"
		e.recordImport(e.importJob(), 0, o)
		e.useIs("other", meta.StoreUsed)
		e.ok(e.db.DeleteFile(e.ctx, alice, o.UID))
		e.useIs("other", meta.StoreUnused)
	},
	"a store is needed while uploads are open in it": func(e *env) {
		inPlace := e.begin(e.newUpload("in place"))
		e.useIs("disk", meta.StoreOpen)
		e.uploadsAre("disk", 10, inPlace.UID)
		objects := e.newUpload("objects")
		objects.InPlace = nil
		e.clock.Add(time.Minute)
		o := e.begin(objects)
		e.useIs("other", meta.StoreUnused)
		b := e.newBlob(1)
		b.Store = "other"
		id, err := e.db.AddBlob(e.ctx, b, o.UID)
		e.ok(err)
		e.useIs("other", meta.StoreOpen)
		e.uploadsAre("other", 10, o.UID)
		e.record(o.UID, meta.NewPart{Number: 1, Length: 1, Blob: id, Blocks: []protocol.Block{{}}})
		e.useIs("other", meta.StoreOpen)
		e.uploadsAre("other", 10, o.UID)
		b = e.newBlob(1)
		_, err = e.db.AddBlob(e.ctx, b, o.UID)
		e.ok(err)
		e.uploadsAre("disk", 10, inPlace.UID, o.UID)
		e.uploadsAre("disk", 1, inPlace.UID)
		e.ok(e.db.AbortUpload(e.ctx, alice, o.UID))
		e.uploadsAre("disk", 10, inPlace.UID)
		e.uploadsAre("other", 10)
		e.useIs("other", meta.StoreSwept)
		e.putShot("a", 1, 5)
		e.useIs("disk", meta.StoreUsed)
	},
	"a store that is gone is forgotten": func(e *env) {
		for _, name := range []string{"disk", "other"} {
			e.ok(e.db.RememberStore(e.ctx, name))
			e.ok(e.db.NoteStoreType(e.ctx, name, "local"))
		}
		var files []protocol.File
		for i := range byte(3) {
			files = append(files, e.putShot("a", 1+i, 5))
		}
		elsewhere := e.oneShot("elsewhere", 9, 3)
		elsewhere.Blob.Store = "other"
		kept, err := e.db.PutFile(e.ctx, elsewhere, nil)
		e.ok(err)
		e.ok(e.db.CloseStore(e.ctx, "disk", "other"))
		for _, f := range files {
			_, _, err := e.db.ForgetStore(e.ctx, "disk", 2)
			e.kind(err, protocol.KindConflict)
			e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		}
		objects, err := e.db.DoomedInStore(e.ctx, "disk")
		e.ok(err)
		e.same("doomed", objects, int64(3))
		c, more, err := e.db.ForgetStore(e.ctx, "disk", 2)
		e.ok(err)
		e.same("the first", []any{c, more}, []any{meta.StoreCount{Blobs: 2, Bytes: 10}, true})
		c, more, err = e.db.ForgetStore(e.ctx, "disk", 2)
		e.ok(err)
		e.same("the last", []any{c, more}, []any{meta.StoreCount{Blobs: 1, Bytes: 5}, false})
		known, err := e.db.KnownStores(e.ctx)
		e.ok(err)
		e.same("known", known, map[string]string{"other": "local"})
		e.closedIs(map[string]string{})
		e.useIs("disk", meta.StoreUnused)
		_, content := e.contentOf(kept.UID)
		e.blobState(content.Extents[0].Blob, meta.BlobLive)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"what is being written is not forgotten": func(e *env) {
		_, err := e.db.AddBlob(e.ctx, e.newBlob(5), 0)
		e.ok(err)
		_, _, err = e.db.ForgetStore(e.ctx, "disk", 2)
		e.kind(err, protocol.KindConflict)
	},
	"open uploads of a store": func(e *env) {
		e.openIs("disk", 0)
		whole := e.newUpload("in place")
		inPlace := e.begin(whole)
		e.openIs("disk", 1)
		e.openIs("other", 0)
		objects := e.newUpload("objects")
		objects.InPlace = nil
		o := e.begin(objects)
		e.openIs("disk", 1)
		b := e.newBlob(1)
		b.Store = "other"
		id, err := e.db.AddBlob(e.ctx, b, o.UID)
		e.ok(err)
		e.openIs("other", 1)
		e.record(o.UID, meta.NewPart{Number: 1, Length: 1, Blob: id, Blocks: []protocol.Block{{}}})
		e.openIs("other", 1)
		e.ok(e.db.AbortUpload(e.ctx, alice, inPlace.UID))
		e.ok(e.db.AbortUpload(e.ctx, alice, o.UID))
		e.openIs("disk", 0)
		e.openIs("other", 0)
	},
}

func (e *env) countIs(store string, blobs, bytes int64) {
	e.Helper()
	c, err := e.db.CountStore(e.ctx, store)
	e.ok(err)
	e.same("what lies in "+store, c, meta.StoreCount{Blobs: blobs, Bytes: bytes})
}

func (e *env) writingIs(want int64) {
	e.Helper()
	n, err := e.db.WritingInStore(e.ctx, "disk")
	e.ok(err)
	e.same("what is written", n, want)
}

func (e *env) leftIs(store string, want meta.Left) {
	e.Helper()
	l, err := e.db.LeftInStore(e.ctx, store, 2)
	e.ok(err)
	e.same("what is left in "+store, l, want)
}

func (e *env) useIs(store string, want meta.StoreUse) {
	e.Helper()
	use, err := e.db.StoreUse(e.ctx, store)
	e.ok(err)
	e.same("what "+store+" is needed for", use, want)
}

func (e *env) namedAre(want []string) {
	e.Helper()
	names, err := e.db.NamedStores(e.ctx)
	e.ok(err)
	slices.Sort(names)
	e.same("stores of blobs", names, want)
}

func (e *env) uploadsAre(store string, limit int, want ...protocol.UID) {
	e.Helper()
	uids, err := e.db.OpenUploadsIn(e.ctx, store, limit)
	e.ok(err)
	e.same("open uploads of "+store, uids, want)
}

func (e *env) openIs(store string, want int64) {
	e.Helper()
	n, err := e.db.OpenInStore(e.ctx, store)
	e.ok(err)
	e.same("open uploads of "+store, n, want)
}

func (e *env) stored(after meta.BlobID, limit int) []meta.Stored {
	e.Helper()
	list, err := e.db.StoredBlobs(e.ctx, "disk", after, limit)
	e.ok(err)
	return list
}

// bound is a job that waits for a node.
func (e *env) bound(kind protocol.JobKind, subject string, node meta.NodeID) protocol.JobID {
	e.Helper()
	id, _, err := e.db.Enqueue(e.ctx, meta.NewJob{Kind: kind, Subject: subject, Node: string(node)})
	e.ok(err)
	return id
}
