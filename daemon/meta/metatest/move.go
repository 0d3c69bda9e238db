package metatest

import (
	"context"
	"errors"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// mover is a job that moves contents, with its lease.
func (e *env) mover() (context.Context, meta.LeasedJob) {
	e.Helper()
	e.enqueue(meta.NewJob{Kind: "move"})
	j := e.leaseAll(one, 1, "move")[0]
	return meta.Fenced(e.ctx, j.Lease), j
}

// target is a blob that the job writes.
func (e *env) target(job context.Context, size int64) meta.BlobID {
	e.Helper()
	id, err := e.db.AddJobBlob(job, e.newBlob(size))
	e.ok(err)
	return id
}

func (e *env) orphans() int {
	e.Helper()
	n, err := e.db.DoomOrphans(e.ctx, 10)
	e.ok(err)
	return n
}

var jobBlobTests = map[string]func(*env){
	"a blob is its job's until that ends": func(e *env) {
		job, j := e.mover()
		other, _ := e.mover()
		first, second := e.target(job, 5), e.target(job, 7)
		e.target(other, 9)
		e.ok(e.db.KeepComposition(job, second, "an id"))
		list, err := e.db.JobBlobs(job)
		e.ok(err)
		e.same("the job's", []any{idsOf(list), list[0].ComposeID, list[1].ComposeID, list[1].Size}, []any{[]meta.BlobID{first, second}, "", "an id", 7})
		e.same("is said of it", []any{e.blob(second).Job, e.blob(second).ComposeID}, []any{j.ID, "an id"})
		e.same("nothing is doomed", e.orphans(), 0)
		e.end(j, meta.ResultFailed)
		e.same("between attempts too", []any{e.orphans(), e.blob(first).Job}, []any{0, j.ID})
		e.clock.Add(time.Hour)
		for _, again := range e.leaseAll(one, 10, "move") {
			if again.ID == j.ID {
				e.end(again, meta.ResultDone)
			}
		}
		e.same("nobody's", e.blob(first).Job, 0)
		e.same("doomed", e.orphans(), 2)
		e.blobState(second, meta.BlobDoomed)
		doomed, err := e.db.Doomed(e.ctx, "", e.clock.Now(), nil, 10)
		e.ok(err)
		e.same("which it was to be made by", []any{idsOf(doomed), doomed[1].ComposeID}, []any{[]meta.BlobID{first, second}, "an id"})
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"a dead job's and a pruned one's are doomed": func(e *env) {
		job, j := e.mover()
		dead := e.target(job, 5)
		e.end(j, meta.ResultHopeless)
		e.same("dead", e.orphans(), 1)
		e.blobState(dead, meta.BlobDoomed)
		job, j = e.mover()
		gone := e.target(job, 5)
		e.end(j, meta.ResultDone)
		_, err := e.db.Prune(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		e.same("gone", e.orphans(), 1)
		e.blobState(gone, meta.BlobDoomed)
	},
	"orphans of jobs are bounded": func(e *env) {
		job, j := e.mover()
		for range 12 {
			e.target(job, 5)
		}
		e.end(j, meta.ResultDone)
		e.same("doomed", []int{e.orphans(), e.orphans(), e.orphans()}, []int{10, 2, 0})
	},
	"only in the name of a job": func(e *env) {
		_, err := e.db.AddJobBlob(e.ctx, e.newBlob(5))
		e.kind(err, protocol.KindInternal)
		_, err = e.db.JobBlobs(e.ctx)
		e.kind(err, protocol.KindInternal)
		job, j := e.mover()
		e.end(j, meta.ResultDone)
		if _, err := e.db.AddJobBlob(job, e.newBlob(5)); !errors.Is(err, meta.ErrLeaseLost) {
			e.Fatalf("got %v", err)
		}
		e.same("blobs", e.blobCount(), 0)
	},
	"a composition is kept while its blob is written": func(e *env) {
		job, _ := e.mover()
		id := e.target(job, 5)
		key := e.blob(id).Key
		composing := func(key, id string) bool {
			e.Helper()
			yes, err := e.db.Composing(e.ctx, "disk", key, id)
			e.ok(err)
			return yes
		}
		e.same("one without an id may be any", composing(key, "a"), true)
		e.ok(e.db.KeepComposition(job, id, "a"))
		e.same("its own, not another, nor of another object", []any{composing(key, "a"), composing(key, "b"), composing("x", "a")}, []any{true, false, false})
		e.ok(e.db.DropBlob(job, id))
		e.same("given up", composing(key, "a"), false)
		for k, want := range map[string]bool{key: true, "x": false} {
			named, err := e.db.NamesObject(e.ctx, "disk", k)
			e.ok(err)
			e.same("a name of ours, given up or not", named, want)
		}
		e.kind(e.db.KeepComposition(job, id, "b"), protocol.KindConflict)
	},
}

var moveTests = map[string]func(*env){
	"many extents become one": func(e *env) {
		u := e.begin(e.newUpload("x"))
		own := e.newBlobFor(u, 7)
		e.record(u.UID, part(1, own, 0, 7))
		gen := e.record(u.UID, part(2, u.Blob, 7, 5))
		_, err := e.db.Commit(e.ctx, e.commitOf(u, gen, 1, 12, meta.Extent{Blob: own, Length: 7}, meta.Extent{Blob: u.Blob, Offset: 7, Length: 5}))
		e.ok(err)
		f, before := e.contentOf(u.UID)
		e.ok(e.db.LeaveDigests(e.ctx, []protocol.UID{u.UID}, nil))
		e.same("not looked at", len(e.undigested(10)), 0)
		e.clock.Add(time.Hour)
		job, j := e.mover()
		to := e.target(job, 12)
		e.ok(e.db.KeepComposition(job, to, "an id"))
		e.ok(e.db.MoveExtents(job, meta.Move{Content: before.ID, Gen: before.Gen, Extents: []meta.Extent{{Blob: to, Length: 12}}, Verified: true}))
		e.same("to be looked at where it lies now", len(e.undigested(10)), 1)
		after, c := e.contentOf(u.UID)
		e.same("file", fileText(after), fileText(f))
		e.same("content", []any{c.ID, c.Gen, c.State, extentsText(c.Extents)}, []any{before.ID, before.Gen + 1, meta.ContentLive, extentsText([]meta.Extent{{Key: e.blob(to).Key, Length: 12}})})
		e.same("verified", e.scrubbable(0, c.ID, 10)[0].VerifiedAt, e.clock.Now())
		list, err := e.db.Blocks(e.ctx, c.ID, 0, 10)
		e.ok(err)
		e.same("blocks stay", len(list), 1)
		e.blobState(to, meta.BlobLive)
		e.same("no composition any more", e.blob(to).ComposeID, "")
		e.same("offered", []any{e.blob(own).Offered, e.blob(u.Blob).Offered, e.blob(to).Offered}, []any{true, true, false})
		e.end(j, meta.ResultDone)
		e.sweepAll()
		e.blobState(own, meta.BlobGone)
		e.blobState(u.Blob, meta.BlobGone)
		e.blobState(to, meta.BlobLive)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"others may share the blobs it leaves": func(e *env) {
		u, _ := e.put("x", 1, 7)
		_, c := e.contentOf(u.UID)
		v := e.begin(e.newUpload("y"))
		gen := e.record(v.UID, part(1, v.Blob, 0, 5))
		_, err := e.db.Commit(e.ctx, e.commitOf(v, gen, 2, 12, meta.Extent{Blob: v.Blob, Length: 5}, meta.Extent{Blob: u.Blob, Length: 7}))
		e.ok(err)
		job, _ := e.mover()
		to := e.target(job, 7)
		e.ok(e.db.MoveExtents(job, meta.Move{Content: c.ID, Gen: c.Gen, Extents: []meta.Extent{{Blob: to, Length: 7}}}))
		e.same("not verified", e.scrubbable(0, c.ID, 10)[0].VerifiedAt, e.clock.Now())
		e.sweepAll()
		e.blobState(u.Blob, meta.BlobLive)
		_, shared := e.contentOf(v.UID)
		e.ok(e.db.MoveExtents(job, meta.Move{Content: shared.ID, Gen: shared.Gen, Extents: []meta.Extent{{Blob: e.target(job, 12), Length: 12}}}))
		e.sweepAll()
		e.blobState(u.Blob, meta.BlobGone)
		e.blobState(v.Blob, meta.BlobGone)
	},
	"what must not be moved": func(e *env) {
		u, f := e.put("x", 1, 7)
		_, c := e.contentOf(u.UID)
		job, _ := e.mover()
		to := e.target(job, 7)
		m := meta.Move{Content: c.ID, Gen: c.Gen, Extents: []meta.Extent{{Blob: to, Length: 7}}}
		stale, short, unknown := m, m, m
		stale.Gen++
		if err := e.db.MoveExtents(job, stale); !isGenChanged(err) {
			e.Fatalf("got %v", err)
		}
		short.Extents = []meta.Extent{{Blob: to, Length: 6}}
		e.kind(e.db.MoveExtents(job, short), protocol.KindInternal)
		unknown.Content = 7777
		e.kind(e.db.MoveExtents(job, unknown), protocol.KindNotFound)
		lost := e.target(job, 7)
		e.ok(e.db.DropBlob(job, lost))
		e.kind(e.db.MoveExtents(job, meta.Move{Content: c.ID, Gen: c.Gen, Extents: []meta.Extent{{Blob: lost, Length: 7}}}), protocol.KindStoreUnavailable)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		e.kind(e.db.MoveExtents(job, m), protocol.KindContentCorrupt)
		_, now := e.contentOf(u.UID)
		e.same("as it was", []any{now.Gen, extentsText(now.Extents), e.blob(u.Blob).Offered}, []any{c.Gen, extentsText(c.Extents), false})
		e.blobState(to, meta.BlobWriting)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.kind(e.db.MoveExtents(job, m), protocol.KindNotFound)
	},
	"not by a job whose lease is lost": func(e *env) {
		u, _ := e.put("x", 1, 7)
		_, c := e.contentOf(u.UID)
		job, _ := e.mover()
		to := e.target(job, 7)
		e.clock.Add(lease)
		e.same("taken over", len(e.leaseAll(other, 1, "move")), 1)
		err := e.db.MoveExtents(job, meta.Move{Content: c.ID, Gen: c.Gen, Extents: []meta.Extent{{Blob: to, Length: 7}}})
		if !errors.Is(err, meta.ErrLeaseLost) {
			e.Fatalf("got %v", err)
		}
		e.blobState(to, meta.BlobWriting)
	},
	"what is known of a content without a digest is kept": func(e *env) {
		u := e.commitUnknown("x", 7)
		_, c := e.contentOf(u.UID)
		job, _ := e.mover()
		to := e.target(job, 7)
		m := meta.Move{Content: c.ID, Gen: c.Gen, Extents: []meta.Extent{{Blob: to, Length: 7}}}
		e.kind(e.db.MoveExtents(job, m), protocol.KindInternal)
		m.Extents = []meta.Extent{{Blob: to, Length: 4, XXH3: &protocol.XXH3{4}}, {Blob: to, Offset: 4, Length: 3, XXH3: &protocol.XXH3{3}}}
		e.ok(e.db.MoveExtents(job, m))
		_, after := e.contentOf(u.UID)
		e.same("cut anew", []any{extentsText(after.Extents), *after.Extents[1].XXH3}, []any{extentsText([]meta.Extent{{Key: e.blob(to).Key, Length: 4}, {Key: e.blob(to).Key, Offset: 4, Length: 3}}), protocol.XXH3{3}})
		if err := e.db.FillDigest(e.ctx, filled(meta.DigestDue{UID: u.UID, Content: c.ID, Gen: c.Gen, Size: 7}, 5)); !isGenChanged(err) {
			e.Fatalf("what was read before the move: %v", err)
		}
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(u.UID), 5)))
		_, done := e.contentOf(u.UID)
		e.same("of known digest the blocks say it", []any{done.Extents[0].XXH3 == nil, extentsText(done.Extents)}, []any{true, extentsText(after.Extents)})
		to = e.target(job, 7)
		e.ok(e.db.MoveExtents(job, meta.Move{Content: done.ID, Gen: done.Gen, Extents: []meta.Extent{{Blob: to, Length: 7, XXH3: &protocol.XXH3{9}}}}))
		_, done = e.contentOf(u.UID)
		e.same("and no XXH3 does", []any{len(done.Extents), done.Extents[0].XXH3 == nil}, []any{1, true})
	},
}

func (e *env) newBlobFor(u meta.Upload, size int64) meta.BlobID {
	e.Helper()
	id, err := e.db.AddBlob(e.ctx, e.newBlob(size), u.UID)
	e.ok(err)
	return id
}
