package metatest

import (
	"crypto/md5"
	"fmt"
	"slices"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// anew is f with other objects.
func (e *env) anew(f meta.Inherited, size int64, tag string, objects ...string) meta.Inherited {
	f.Objects, f.Anew = nil, true
	for _, o := range objects {
		f.Objects = append(f.Objects, meta.HeldObject{Store: "disk", Key: "@" + o, Size: size, Tag: tag})
	}
	return f
}

var inheritTests = map[string]func(*env){
	"a file with its uid": func(e *env) {
		f := e.heir("a.txt", "image/7.txt")
		since := e.lastEvent()
		e.inherits(f, meta.InheritMade)
		file, c := e.contentOf(f.UID)
		e.same("the file", []any{file.Name, file.Size, file.Digest == nil, file.ETag, file.CreatedAt.Time, file.CommittedAt.Time},
			[]any{"a.txt", 7, true, fmt.Sprintf(`"u%s"`, f.UID), f.ModifiedAt, e.clock.Now()})
		e.same("its bytes", []any{len(c.Extents), c.Extents[0].Key, c.Extents[0].Tag}, []any{1, "@image/7.txt", "as of image/7.txt"})
		e.same("its blob", e.blob(c.Extents[0].Blob).Origin, meta.OriginForeign)
		e.same("events", e.kinds(since), []protocol.EventKind{protocol.EventFileCommitted})
		e.same("a digest job is due", e.dueOf(f.UID).DigestKnown, false)
		usage, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", usage, meta.Usage{Bytes: 7, Files: 1})
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"twice": func(e *env) {
		f := e.heir("a.txt", "a")
		e.inherits(f, meta.InheritMade)
		e.inherits(f, meta.InheritAlready)
		other := e.heir("b.txt", "b")
		known, err := e.db.InheritedAlready(e.ctx, []meta.Inherited{f, other})
		e.ok(err)
		as := known[f.UID]
		e.same("known", []any{len(known), as.Outcome, as.Size, as.Said == nil, as.MD5 == nil, as.Foreign, as.Objects}, []any{1, meta.InheritAlready, int64(7), true, true, true, f.Objects})
		usage, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", usage, meta.Usage{Bytes: 7, Files: 1})
	},
	"what was deleted since stays so while it is known": func(e *env) {
		f := e.heir("a.txt", "a")
		e.inherits(f, meta.InheritMade)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.inherits(f, meta.InheritDeleted)
		_, err := e.db.File(e.ctx, alice, f.UID)
		e.kind(err, protocol.KindNotFound)
	},
	"a uid that is taken": func(e *env) {
		put, _ := e.put("ours", 5, 7)
		f := e.heir("a.txt", "a")
		f.UID = put.UID
		e.inherits(f, meta.InheritRefused)
		f.Owner = bob
		e.inherits(f, meta.InheritRefused)
		u := e.begin(e.newUpload("open"))
		f = e.heir("b.txt", "b")
		f.UID = u.UID
		e.inherits(f, meta.InheritRefused)
		e.same("blobs are not made for nothing", e.blobCount(), 2)
	},
	"parts of a file that was never merged": func(e *env) {
		f := e.heir("a.bin", "7_1", "7_2", "7_3")
		f.Objects[1].Size = 0
		f.Objects[2].Size = 3
		e.inherits(f, meta.InheritMade)
		file, c := e.contentOf(f.UID)
		e.same("the file", []any{file.Size, len(c.Extents), c.Extents[0].Key, c.Extents[1].Key}, []any{10, 2, "@7_1", "@7_3"})
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(f.UID), 5)))
		_, c = e.contentOf(f.UID)
		e.same("they stay where they are", []any{len(c.Extents), len(e.leaseAll(other, 10))}, []any{2, 0})
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"one object of several files": func(e *env) {
		a, b, c := e.heir("a.txt", "a"), e.heir("b.txt", "a"), e.heir("c.txt", "a")
		e.inherits(a, meta.InheritMade)
		e.inherits(b, meta.InheritMade)
		fa, ca := e.contentOf(a.UID)
		_, cb := e.contentOf(b.UID)
		e.same("one content", cb.ID, ca.ID)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(a.UID), 5)))
		fb, cb := e.contentOf(b.UID)
		e.same("of both is known what it is", []any{fb.Digest != nil, fb.ETag != fa.ETag}, []any{true, true})
		e.inherits(c, meta.InheritMade)
		fc, cc := e.contentOf(c.UID)
		e.same("a later one", []any{cc.ID, fc.ETag, fc.MD5 == nil}, []any{cb.ID, `"` + fb.Digest.String() + `"`, true})
		e.same("whose sums are shown once its digest job has run", e.dueOf(c.UID).DigestKnown, true)
		e.same("blobs", e.blobCount(), 1)
		for _, f := range []meta.Inherited{a, b, c} {
			e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		}
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"anew on another object": func(e *env) {
		f := e.heir("a.bin", "7_1", "7_2")
		f.MD5 = &[md5.Size]byte{1}
		e.inherits(f, meta.InheritMade)
		old, _ := e.contentOf(f.UID)
		since := e.lastEvent()
		whole := e.anew(f, 20, "as of 7.bin", "7.bin")
		whole.MD5 = &[md5.Size]byte{2}
		e.inherits(whole, meta.InheritUpdated)
		file, c := e.contentOf(f.UID)
		e.same("the file", []any{file.Size, file.Digest == nil, len(c.Extents), c.Extents[0].Key, file.ETag != old.ETag}, []any{20, true, 1, "@7.bin", true})
		said, err := e.db.Said(e.ctx, alice, f.UID)
		e.ok(err)
		e.same("said", *said, *whole.MD5)
		e.same("events", e.kinds(since), []protocol.EventKind{protocol.EventFileCommitted})
		usage, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", usage, meta.Usage{Bytes: 20, Files: 1})
		whole.MD5 = nil
		e.inherits(whole, meta.InheritUpdated)
		said, err = e.db.Said(e.ctx, alice, f.UID)
		e.ok(err)
		e.same("nothing is said any more", said == nil, true)
		e.ok(e.db.CheckDatabase(e.ctx))
		drifts, err := e.db.CheckQuotas(e.ctx)
		e.ok(err)
		e.same("quotas", len(drifts), 0)
	},
	"what was said of it is taken back": func(e *env) {
		wrong := e.heir("a.txt", "a")
		wrong.MD5 = &[md5.Size]byte{1}
		e.inherits(wrong, meta.InheritMade)
		due := filled(e.dueOf(wrong.UID), 5)
		right := e.heir("b.txt", "b")
		sum := filled(meta.DigestDue{}, 7).Findings.MD5
		right.MD5 = &sum
		e.inherits(right, meta.InheritMade)
		later := e.heir("c.txt", "c")
		later.MD5 = &[md5.Size]byte{2}
		e.inherits(later, meta.InheritMade)
		e.ok(e.db.FillDigest(e.ctx, due))
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(right.UID), 7)))
		before, err := e.db.File(e.ctx, alice, wrong.UID)
		e.ok(err)
		since := e.lastEvent()
		known, err := e.db.InheritedAlready(e.ctx, []meta.Inherited{wrong, right, later})
		e.ok(err)
		e.same("how they are", []any{known[wrong.UID].Doubted(), known[right.UID].Doubted(), known[later.UID].Doubted()}, []any{true, false, true})
		for _, f := range []*meta.Inherited{&wrong, &right, &later} {
			f.MD5, f.Unsaid, f.Objects = nil, true, nil
		}
		e.inherits(wrong, meta.InheritUpdated)
		e.inherits(wrong, meta.InheritAlready)
		e.inherits(right, meta.InheritAlready)
		e.inherits(later, meta.InheritUpdated)
		e.same("events", e.kinds(since), []protocol.EventKind{protocol.EventFileCommitted, protocol.EventFileCommitted})
		after, c := e.contentOf(wrong.UID)
		e.same("the file", []any{after.Size, after.ETag, c.Extents[0].Key, *after.MD5}, []any{before.Size, before.ETag, "@a", fmt.Sprintf("%x", due.Findings.MD5)})
		said, err := e.db.Said(e.ctx, alice, right.UID)
		e.ok(err)
		e.same("what was found to be right stays", *said, sum)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(later.UID), 6)))
		e.contentOf(later.UID)
		usage, err := e.db.Usage(e.ctx, alice)
		e.ok(err)
		e.same("usage", usage, meta.Usage{Bytes: 21, Files: 3})
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"anew on the same object as it is now": func(e *env) {
		f := e.heir("a.bin", "a")
		e.inherits(f, meta.InheritMade)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(f.UID), 5)))
		e.inherits(e.anew(f, 9, "later", "a"), meta.InheritUpdated)
		file, c := e.contentOf(f.UID)
		e.same("the file", []any{file.Size, file.Digest == nil, file.SHA256 == nil, c.Extents[0].Tag, c.State}, []any{9, true, true, "later", meta.ContentLive})
		e.same("it is looked at", e.dueOf(f.UID).DigestKnown, false)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(f.UID), 6)))
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"anew where others have what it was": func(e *env) {
		a, b := e.heir("a.bin", "a"), e.heir("b.bin", "a")
		e.inherits(a, meta.InheritMade)
		e.inherits(b, meta.InheritMade)
		e.inherits(e.anew(a, 9, "later", "a"), meta.InheritRefused)
		e.inherits(e.anew(a, 9, "as of c", "c"), meta.InheritUpdated)
		_, c := e.contentOf(b.UID)
		e.same("the other's", []any{c.State, c.Extents[0].Key}, []any{meta.ContentLive, "@a"})
		e.inherits(e.anew(b, 9, "later", "a"), meta.InheritUpdated)
		x, y := e.heir("x.bin", "x"), e.heir("y.bin", "x")
		e.inherits(x, meta.InheritMade)
		e.inherits(y, meta.InheritMade)
		results, err := e.db.Inherit(e.ctx, []meta.Inherited{e.anew(x, 9, "later", "x"), e.anew(y, 9, "as of y", "y")})
		e.ok(err)
		e.same("once the other is elsewhere", []any{results[0].Outcome, results[1].Outcome}, []any{meta.InheritUpdated, meta.InheritUpdated})
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"anew beyond a quota": func(e *env) {
		f := e.heir("a.bin", "a")
		e.inherits(f, meta.InheritMade)
		e.ok(e.db.SetQuota(e.ctx, alice, limit(10, 100, 100)))
		_, err := e.db.Inherit(e.ctx, []meta.Inherited{e.anew(f, 11, "as of c", "c")})
		e.kind(err, protocol.KindQuotaExceeded)
		file, c := e.contentOf(f.UID)
		e.same("the file", []any{file.Size, c.Extents[0].Key}, []any{7, "@a"})
	},
	"what lies in objects of ospd's is not made anew": func(e *env) {
		put, _ := e.put("ours", 5, 7)
		f := e.heir("a.bin", "a")
		e.inherits(f, meta.InheritMade)
		d := filled(e.dueOf(f.UID), 5)
		ours, _ := e.contentOf(put.UID)
		d.Digest = *ours.Digest
		e.ok(e.db.FillDigest(e.ctx, d))
		known, err := e.db.InheritedAlready(e.ctx, []meta.Inherited{f})
		e.ok(err)
		e.same("foreign", []any{known[f.UID].Foreign, *known[f.UID].MD5}, []any{false, d.MD5})
		e.inherits(e.anew(f, 9, "as of c", "c"), meta.InheritRefused)
	},
	"an object that is another since": func(e *env) {
		e.inherits(e.heir("a.txt", "a"), meta.InheritMade)
		f := e.heir("b.txt", "a")
		f.Objects[0].Tag = "later"
		e.inherits(f, meta.InheritRefused)
		_, err := e.db.File(e.ctx, alice, f.UID)
		e.kind(err, protocol.KindNotFound)
	},
	"an MD5 that its bytes do not have": func(e *env) {
		good, bad := e.heir("good", "a"), e.heir("bad", "a")
		sum := findings(5).MD5
		good.MD5, bad.MD5 = &sum, &[md5.Size]byte{1}
		e.inherits(good, meta.InheritMade)
		e.inherits(bad, meta.InheritMade)
		since := e.lastEvent()
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(good.UID), 5)))
		e.same("events", slices.Contains(e.kinds(since), protocol.EventContentCorrupt), true)
		_, c := e.contentOf(good.UID)
		e.same("one is read", []any{c.State, c.Refused}, []any{meta.ContentLive, false})
		_, c = e.contentOf(bad.UID)
		e.same("the other is not", c.Refused, true)
		late := e.heir("late", "a")
		late.MD5 = bad.MD5
		e.inherits(late, meta.InheritMade)
		d := e.dueOf(late.UID)
		e.ok(e.db.RecordFindings(e.ctx, nil, []meta.DigestDue{d}))
		_, c = e.contentOf(late.UID)
		e.same("nor is one that came to it later", c.Refused, true)
	},
	"nothing": func(e *env) {
		bad := e.heir("bad", "e")
		bad.Objects[0].Size, bad.MD5 = 0, &[md5.Size]byte{1}
		e.inherits(bad, meta.InheritRefused)
		f := e.heir("empty", "e")
		f.Objects[0].Size = 0
		none := md5.Sum(nil)
		f.MD5 = &none
		e.inherits(f, meta.InheritMade)
		file, c := e.contentOf(f.UID)
		e.same("the file", []any{*file.Digest, file.ETag, len(c.Extents), e.blobCount()}, []any{protocol.DigestOf(nil), `"` + protocol.DigestOf(nil).String() + `"`, 0, 0})
	},
	"beyond a quota nothing is recorded": func(e *env) {
		e.ok(e.db.SetQuota(e.ctx, alice, limit(10, 100, 100)))
		a, b := e.heir("a", "a"), e.heir("b", "b")
		_, err := e.db.Inherit(e.ctx, []meta.Inherited{a, b})
		e.kind(err, protocol.KindQuotaExceeded)
		e.same("blobs", e.blobCount(), 0)
	},
	"uids are minted above": func(e *env) {
		const year = int64(366*24*time.Hour) / int64(time.Millisecond)
		minted := func() protocol.UID {
			m, err := meta.NewMinter(e.db, 0, e.clock.Now)
			e.ok(err)
			uid, err := m.Next(e.ctx)
			e.ok(err)
			return uid
		}
		now := minted()
		f := e.heir("a.txt", "a")
		f.UID = now + protocol.UID(9*year<<22) + 1<<22 - 1 // as its minter was the last, its number too
		e.inherits(f, meta.InheritMade)
		next := minted()
		e.same("above", next>>22 > f.UID>>22, true)
		e.ok(e.db.RaiseUIDFloor(e.ctx, f.UID+protocol.UID(year<<22)))
		e.same("above what nobody inherited", minted() > f.UID+protocol.UID(year<<22), true)
		e.ok(e.db.RaiseUIDFloor(e.ctx, 7))
		e.same("it never falls", minted() > f.UID+protocol.UID(year<<22), true)
		mark, err := e.db.ReserveUIDs(e.ctx, 5, 1)
		e.ok(err)
		e.same("for every worker", mark >= int64(f.UID>>22)+year, true)
		f = e.heir("b.txt", "b")
		f.UID = 1<<63 - 1
		e.inherits(f, meta.InheritRefused)
		e.same("that one is not counted from", minted() < 1<<62, true)
	},
}

// heir is a file on objects of 7 bytes each.
func (e *env) heir(name string, objects ...string) meta.Inherited {
	uid := e.uid()
	f := meta.Inherited{UID: uid, FileFields: meta.FileFields{Owner: alice, Name: name,
		Imported: meta.Imported{From: "other:" + uid.String(), ModifiedAt: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}}}
	for _, o := range objects {
		f.Objects = append(f.Objects, meta.HeldObject{Store: "disk", Key: "@" + o, Size: 7, Tag: "as of " + o})
	}
	return f
}

func (e *env) inherits(f meta.Inherited, want meta.InheritOutcome) {
	e.Helper()
	results, err := e.db.Inherit(e.ctx, []meta.Inherited{f})
	e.ok(err)
	e.same("outcome", []any{len(results), results[0].Outcome, results[0].Why != ""}, []any{1, want, want == meta.InheritRefused})
}
