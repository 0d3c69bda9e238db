package metatest

import (
	"crypto/md5"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// putLooked is a file of the owner's whose digest job has found the findings
// that n names.
func (e *env) putLooked(owner protocol.Owner, name string, digest, n byte) protocol.File {
	e.Helper()
	shot := e.oneShot(name, digest, claimSize)
	shot.Owner = owner
	f, err := e.db.PutFile(e.ctx, shot, nil)
	e.ok(err)
	e.findsOut(n)
	return f
}

// findsOut has the digest jobs run of all files that are due, each of which has
// the findings that n names.
func (e *env) findsOut(n byte) {
	e.Helper()
	due := e.undigested(1000)
	var found []meta.FoundOut
	for _, d := range due {
		if !d.SumsKnown {
			found = append(found, meta.FoundOut{Content: d.Content, Findings: findings(n)})
		}
	}
	e.ok(e.db.RecordFindings(e.ctx, found, due))
}

// held is the content that the owner has of the MD5 that n names, nil for none.
func (e *env) held(owner protocol.Owner, n byte) *meta.Held {
	e.Helper()
	held, err := e.db.HeldByMD5(e.ctx, owner, [][16]byte{{99}, {n}, {99}})
	e.ok(err)
	if len(held) != 3 || held[0] != nil || held[2] != nil {
		e.Fatalf("among others: %v", held)
	}
	return held[1]
}

// holds expects whether the owner has a content of that MD5.
func (e *env) holds(what string, owner protocol.Owner, n byte, want bool) {
	e.Helper()
	e.same(what, e.held(owner, n) != nil, want)
}

// adoption is one of the content that has the MD5 that n names, under a name of
// its own.
func (e *env) adoption(c meta.ContentID, n byte) meta.Adoption {
	uid := e.uid()
	return meta.Adoption{UID: uid, Name: fmt.Sprintf("adopted %d.txt", uid), Content: c, MD5: [16]byte{n}, ETag: fmt.Sprintf(`"a%d"`, uid), CommittedAt: e.clock.Now()}
}

func (e *env) adopt(owner protocol.Owner, list ...meta.Adoption) []*protocol.File {
	e.Helper()
	files, err := e.db.Adopt(e.ctx, owner, list)
	e.ok(err)
	e.same("as many as were asked for", len(files), len(list))
	return files
}

func (e *env) pending(owner protocol.Owner) bool {
	e.Helper()
	p, err := e.db.DigestsPending(e.ctx, owner)
	e.ok(err)
	return p
}

var heldTests = map[string]func(*env){
	"by MD5, of one's own": func(e *env) {
		e.holds("nothing there", alice, 7, false)
		f := e.putShot("x", 1, claimSize)
		e.holds("not looked at yet", alice, 7, false)
		e.findsOut(7)
		_, c := e.contentOf(f.UID)
		e.same("looked at", *e.held(alice, 7), meta.Held{Content: c.ID, Size: claimSize, Digest: protocol.Digest{1}})
		e.holds("another's", bob, 7, false)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.holds("deleted", alice, 7, false)
	},
	"what another owner's job found tells nothing": func(e *env) {
		e.putLooked(bob, "b", 1, 7)
		mine := e.putShot("a", 1, claimSize)
		e.holds("before one's own job", alice, 7, false)
		due := e.undigested(10)
		e.same("known of the content", []any{len(due), due[0].UID, due[0].SumsKnown}, []any{1, mine.UID, true})
		e.findsOut(7)
		e.holds("after it", alice, 7, true)
	},
	"damaged, healed, expired": func(e *env) {
		f := e.putLooked(alice, "x", 1, 7)
		e.damageOf(f.UID)
		e.holds("damaged", alice, 7, false)
		e.putShot("y", 1, claimSize)
		e.holds("healed", alice, 7, true)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		e.holds("the file that is left was not looked at", alice, 7, false)
		e.findsOut(7)
		e.holds("it was", alice, 7, true)
		at := e.clock.Now().Add(time.Second)
		pat := &at
		list, err := e.db.Files(e.ctx, alice, meta.FileQuery{Limit: 10})
		e.ok(err)
		_, err = e.db.PatchFile(e.ctx, alice, list[0].UID, meta.FilePatch{ExpiresAt: &pat})
		e.ok(err)
		e.clock.Add(time.Second)
		e.holds("expired", alice, 7, false)
	},
	"two contents of one MD5 are none": func(e *env) {
		a := e.putLooked(alice, "a", 1, 7)
		b := e.putLooked(alice, "b", 2, 7)
		e.holds("which of them", alice, 7, false)
		e.ok(e.db.DeleteFile(e.ctx, alice, a.UID))
		_, c := e.contentOf(b.UID)
		e.same("the one that is left", e.held(alice, 7).Content, c.ID)
		e.putLooked(bob, "another's", 3, 7)
		e.holds("another's does not count", alice, 7, true)
	},
	"an object that is not ours": func(e *env) {
		own := e.object("d/own", 7)
		e.recordImport(e.importJob(), 0, own)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(own.UID), 5)))
		e.sees(protocol.File{UID: own.UID}, "05", "05", "image/png")
		e.holds("where others may change it", alice, 5, false)
	},
	"of nothing": func(e *env) {
		n := e.oneShot("x", 1, 0)
		n.Blob = nil
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		held, err := e.db.HeldByMD5(e.ctx, alice, [][16]byte{md5.Sum(nil)})
		e.ok(err)
		a := e.adoption(held[0].Content, 0)
		a.MD5 = md5.Sum(nil)
		again := e.adopt(alice, a)[0]
		e.same("size and sums", []any{again.Size, *again.MD5}, []any{0, *f.MD5})
	},
	"a file of its own for each": func(e *env) {
		first := e.putLooked(alice, "x", 1, 7)
		other := e.putLooked(alice, "y", 2, 8)
		since := e.lastEvent()
		one, two := e.held(alice, 7), e.held(alice, 8)
		e.clock.Add(time.Second)
		list := []meta.Adoption{e.adoption(two.Content, 8), e.adoption(one.Content, 7), e.adoption(one.Content, 7)}
		files := e.adopt(alice, list...)
		for i, f := range files {
			_, was := e.contentOf([]protocol.UID{other.UID, first.UID, first.UID}[i])
			got, c := e.contentOf(list[i].UID)
			e.same("file", []any{f.UID, f.Owner, f.Name, f.Size, f.ETag, f.CommittedAt.Time}, []any{list[i].UID, alice, list[i].Name, claimSize, list[i].ETag, e.clock.Now()})
			e.same("as it is found", fileText(got), fileText(*f))
			e.same("content", contentText(c), contentText(was))
		}
		e.sees(*files[0], "08", "08", "image/png")
		e.sees(*files[1], "07", "07", "image/png")
		e.same("due for a digest job", len(e.undigested(10)), 0)
		e.same("events", e.kinds(since), []protocol.EventKind{protocol.EventFileCommitted, protocol.EventFileCommitted, protocol.EventFileCommitted})
		e.usage(alice, 5*claimSize, 5, 0)
		e.ok(e.db.DeleteFile(e.ctx, alice, first.UID))
		_, _, err := e.db.Content(e.ctx, alice, files[1].UID)
		e.ok(err)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"what went meanwhile is left out": func(e *env) {
		gone, damaged := e.putLooked(alice, "gone", 1, 7), e.putLooked(alice, "damaged", 2, 8)
		e.putLooked(alice, "stays", 3, 9)
		shared := e.putLooked(alice, "shared", 4, 10)
		e.putLooked(bob, "bob's", 4, 10)
		var list []meta.Adoption
		for n := byte(7); n <= 10; n++ {
			list = append(list, e.adoption(e.held(alice, n).Content, n))
		}
		list = append(list, e.adoption(7777, 7))
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		e.damageOf(damaged.UID)
		e.ok(e.db.DeleteFile(e.ctx, alice, shared.UID))
		files := e.adopt(alice, list...)
		e.same("made", []any{files[0] == nil, files[1] == nil, files[2].Name, files[3] == nil, files[4] == nil}, []any{true, true, list[2].Name, true, true})
		for i, a := range list {
			if i == 2 {
				continue
			}
			_, err := e.db.File(e.ctx, alice, a.UID)
			e.kind(err, protocol.KindNotFound)
		}
		e.usage(alice, 3*claimSize, 3, 0)
	},
	"what its sender said, and its bytes have, is known before the job": func(e *env) {
		f := e.say("x", 5, 5, 9, true)
		e.holds("another's", bob, 9, false)
		h := e.held(alice, 9)
		e.same("held", *h, meta.Held{Content: e.dueOf(f).Content, Size: 5, Digest: protocol.Digest{5}})
		a := e.adoption(h.Content, 9)
		e.adopt(alice, a)
		e.fileMD5(a.UID, 9)
		e.sees(protocol.File{UID: a.UID}, "05", "09", "")
		e.same("due, as any other", e.dueOf(a.UID).Said, false)
		e.ok(e.db.DeleteFile(e.ctx, alice, f))
		e.holds("by the twin", alice, 9, true)
		e.findsOut(9)
		e.same("found once", e.held(alice, 9).Content, h.Content)
		e.sees(protocol.File{UID: a.UID}, "09", "09", "")
	},
	"what was only said is not": func(e *env) {
		said := e.say("x", 5, 5, 9, false)
		e.holds("not looked at", alice, 9, false)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 5), due))
		e.refused(said, true)
		e.holds("what was said", alice, 9, false)
		e.holds("what it is: the file is refused", alice, 5, false)
		right := e.say("y", 5, 5, 5, true)
		e.holds("what another file is", alice, 5, true)
		e.ok(e.db.DeleteFile(e.ctx, alice, right))
		e.holds("once that is gone", alice, 5, false)
	},
	"what is known under one MD5 is not adopted under another": func(e *env) {
		e.putLooked(alice, "x", 1, 7)
		c := e.held(alice, 7).Content
		e.same("made", e.adopt(alice, e.adoption(c, 8))[0] == nil, true)
	},
	"of unknown digest": func(e *env) {
		e.say("x", 0, 5, 9, true)
		e.holds("not yet", alice, 9, false)
	},
	"nobody's but the owner's": func(e *env) {
		e.putLooked(alice, "x", 1, 7)
		e.same("another's", e.adopt(bob, e.adoption(e.held(alice, 7).Content, 7))[0] == nil, true)
		e.usage(bob, 0, 0, 0)
	},
	"a quota that allows some has none made": func(e *env) {
		e.putLooked(alice, "x", 1, 7)
		since := e.lastEvent()
		c := e.held(alice, 7).Content
		e.ok(e.db.SetQuota(e.ctx, alice, limit(-1, 2, -1)))
		_, err := e.db.Adopt(e.ctx, alice, []meta.Adoption{e.adoption(c, 7), e.adoption(c, 7)})
		e.kind(err, protocol.KindQuotaExceeded)
		e.usage(alice, claimSize, 1, 0)
		e.same("events", len(e.kinds(since)), 0)
		e.adopt(alice, e.adoption(c, 7))
		e.ok(e.db.SetQuota(e.ctx, alice, limit(2*claimSize, -1, -1)))
		_, err = e.db.Adopt(e.ctx, alice, []meta.Adoption{e.adoption(c, 7)})
		e.kind(err, protocol.KindQuotaExceeded)
		e.usage(alice, 2*claimSize, 2, 0)
		e.adopt(alice) // nothing
	},
	"a uid that is another file's": func(e *env) {
		f := e.putLooked(alice, "x", 1, 7)
		a := e.adoption(e.held(alice, 7).Content, 7)
		a.UID = f.UID
		_, err := e.db.Adopt(e.ctx, alice, []meta.Adoption{e.adoption(a.Content, 7), a})
		e.kind(err, protocol.KindConflict)
		e.usage(alice, claimSize, 1, 0)
	},
	"whose digest jobs are pending": func(e *env) {
		e.same("nobody's", e.pending(alice), false)
		f := e.putShot("x", 1, claimSize)
		e.same("alice's", []bool{e.pending(alice), e.pending(bob)}, []bool{true, false})
		e.ok(e.db.PutOffDigests(e.ctx, []protocol.UID{f.UID}, time.Second))
		e.same("put off", e.pending(alice), false)
		e.clock.Add(time.Second)
		e.same("due again", e.pending(alice), true)
		e.clock.Add(meta.DigestsSoon - time.Second - time.Millisecond)
		e.same("still new", e.pending(alice), true)
		e.clock.Add(time.Millisecond)
		e.same("nobody waits for that any more", []any{e.pending(alice), len(e.undigested(10))}, []any{false, 1})
		g := e.commitUnknown("y", claimSize)
		e.same("of unknown digest", e.pending(alice), true)
		e.ok(e.db.LeaveDigests(e.ctx, []protocol.UID{g.UID}, nil))
		e.same("put off for good", e.pending(alice), false)
	},
	"nobody waits for the digest jobs of what was imported": func(e *env) {
		e.inherits(e.heir("a.txt", "image/7.txt"), meta.InheritMade)
		e.recordImport(e.importJob(), 0, e.object("d/own", 7))
		e.same("imported", []any{e.pending(alice), len(e.undigested(10))}, []any{false, 2})
		e.putShot("x", 1, claimSize)
		e.same("put", e.pending(alice), true)
	},
}
