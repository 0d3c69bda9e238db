package metatest

import (
	"crypto/md5"
	"encoding/hex"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// The digest of content d, as findings has it, comes with the MD5 {d}.
var saidTests = map[string]func(*env){
	"a digest job finds whether a file has the MD5 that was said": func(e *env) {
		right, wrong, other := e.say("right", 1, 5, 1, false), e.say("wrong", 2, 5, 9, false), e.putShot("nothing was said", 3, 5)
		for _, uid := range []protocol.UID{right, wrong, other.UID} {
			e.refused(uid, false)
		}
		e.fileMD5(right, 0)
		due := e.undigested(10)
		e.same("it is to be found out", []any{due[0].Said, due[1].Said, due[2].Said}, []any{true, true, false})
		e.eventsOf(protocol.EventContentCorrupt)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 1, 2, 3), due))
		e.refused(right, false)
		e.refused(wrong, true)
		e.refused(other.UID, false)
		e.fileMD5(right, 1)
		e.fileMD5(wrong, 2)
		e.eventsOf(protocol.EventContentCorrupt, wrong)
		e.same("due", len(e.undigested(10)), 0)
		e.ok(e.db.RecordFindings(e.ctx, nil, due))
		e.eventsOf(protocol.EventContentCorrupt, wrong)
	},
	"of a digest that was not known": func(e *env) {
		right, wrong := e.say("right", 0, 7, 5, false), e.say("wrong", 0, 7, 9, false)
		for _, uid := range []protocol.UID{right, wrong} {
			e.same("it is to be found out", e.dueOf(uid).Said, true)
			e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(uid), 5)))
		}
		e.refused(right, false)
		e.refused(wrong, true)
		e.eventsOf(protocol.EventContentCorrupt, wrong)
		_, a := e.contentOf(right)
		_, b := e.contentOf(wrong)
		e.same("one content", a.ID, b.ID)
		e.same("which is sound", b.State, meta.ContentLive)
	},
	"others on the content of a refused file read on": func(e *env) {
		wrong := e.say("wrong", 5, 5, 9, false)
		due := e.undigested(10)
		mine, his := e.putShot("mine", 5, 5), e.putAs(bob, "his", 5)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 5), due))
		e.refused(wrong, true)
		e.refused(mine.UID, false)
		_, c, err := e.db.Content(e.ctx, bob, his)
		e.ok(err)
		e.same("his", []any{c.Refused, c.State}, []any{false, meta.ContentLive})
		e.putShot("again", 5, 5)
		e.refused(wrong, true)
		e.same("it cannot be claimed by that", e.dueOf(mine.UID).SumsKnown, true)
		e.ok(e.db.DeleteFile(e.ctx, alice, wrong))
		e.refused(mine.UID, false)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"damage and healing say nothing of a refused file": func(e *env) {
		wrong := e.say("wrong", 5, 5, 9, false)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 5), due))
		mine := e.putShot("mine", 5, 5)
		_, c := e.contentOf(mine.UID)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		e.putShot("heals", 5, 5)
		e.eventsOf(protocol.EventContentCorrupt, wrong, mine.UID)
		e.eventsOf(protocol.EventContentHealed, mine.UID)
		e.refused(wrong, true)
	},
	"what its bytes were seen to have is known at once": func(e *env) {
		f := e.say("x", 5, 5, 9, true)
		e.fileMD5(f, 9)
		due := e.undigested(10)
		e.same("nothing is to be found out", due[0].Said, false)
		list, err := e.db.Files(e.ctx, alice, meta.FileQuery{Limit: 1})
		e.ok(err)
		e.same("listed", list[0].MD5 != nil, true)
	},
	"a digest job has the last word of what was seen": func(e *env) {
		right, wrong := e.say("right", 1, 5, 1, true), e.say("wrong", 2, 5, 9, true)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 1, 2), due))
		e.refused(right, false)
		e.refused(wrong, true)
		e.fileMD5(right, 1)
		e.fileMD5(wrong, 2)
		merged := e.say("of a digest that was not known", 0, 7, 9, true)
		e.ok(e.db.FillDigest(e.ctx, filled(e.dueOf(merged), 5)))
		e.refused(merged, true)
		e.eventsOf(protocol.EventContentCorrupt, wrong, merged)
		held, err := e.db.HeldByMD5(e.ctx, alice, [][md5.Size]byte{{9}})
		e.ok(err)
		e.same("held by what is wrong", held[0] == nil, true)
	},
	"what the owner knows of the content is compared at once": func(e *env) {
		e.putShot("known", 5, 5)
		e.putAs(bob, "others know", 6)
		due := e.undigested(10)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 5, 6), due))
		u, c := e.saying("wrong", 5, 5, 9)
		_, err := e.db.Commit(e.ctx, c)
		e.kind(err, protocol.KindDigestDiffers)
		parts, gen, err := e.db.Parts(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("nothing changed", []any{len(parts), gen}, []any{1, c.Gen})
		_, c2 := e.saying("right", 5, 5, 5)
		f, err := e.db.Commit(e.ctx, c2)
		e.ok(err)
		e.fileMD5(f.UID, 5)
		// That another owner has these bytes is told by nothing.
		_, c3 := e.saying("not the owner's", 6, 5, 9)
		_, err = e.db.Commit(e.ctx, c3)
		e.ok(err)
	},
	"a file that is not read for its MD5 is found by fsck": func(e *env) {
		wrong := e.say("wrong", 5, 5, 9, false)
		e.say("not known yet", 6, 5, 9, false)
		due := e.undigested(1)
		e.ok(e.db.RecordFindings(e.ctx, e.foundOf(due, 5), due))
		var refused []protocol.UID
		e.ok(e.db.EachContent(e.ctx, func(c meta.ContentRefs) error {
			refused = append(refused, c.Refused...)
			return nil
		}))
		e.same("refused", refused, []protocol.UID{wrong})
	},
}

// saying begins an upload of content d, 0 for one that is not known, and makes
// the commit that says an MD5 of it.
func (e *env) saying(name string, d byte, size int64, said byte) (meta.Upload, meta.Commit) {
	e.Helper()
	u := e.begin(e.newUpload(name))
	gen := e.record(u.UID, part(1, u.Blob, 0, size))
	c := e.commitOf(u, gen, d, size, meta.Extent{Blob: u.Blob, Length: size, XXH3: &protocol.XXH3{1}})
	if d == 0 {
		c.Digest, c.Fingerprint, c.Blocks = nil, nil, nil
	}
	c.Said = &meta.SaidMD5{MD5: [md5.Size]byte{said}}
	return u, c
}

// say commits such a file.
func (e *env) say(name string, d byte, size int64, said byte, agrees bool) protocol.UID {
	e.Helper()
	u, c := e.saying(name, d, size, said)
	c.Said.Agrees = agrees
	_, err := e.db.Commit(e.ctx, c)
	e.ok(err)
	return u.UID
}

// foundOf are findings of the contents of files that are due, by what each is.
func (e *env) foundOf(due []meta.DigestDue, d ...byte) (list []meta.FoundOut) {
	e.Helper()
	e.same("are due", len(due), len(d))
	for i := range due {
		list = append(list, meta.FoundOut{Content: due[i].Content, Findings: findings(d[i])})
	}
	return list
}

func (e *env) refused(uid protocol.UID, want bool) {
	e.Helper()
	for range 2 { // what was read before is remembered
		_, c := e.contentOf(uid)
		if c.Refused != want {
			e.Fatalf("file %s: refused is %v", uid, c.Refused)
		}
	}
}

// fileMD5 expects the first byte of the MD5 that is shown of a file, 0 for none.
func (e *env) fileMD5(uid protocol.UID, want byte) {
	e.Helper()
	f, err := e.db.File(e.ctx, alice, uid)
	e.ok(err)
	var got string
	if f.MD5 != nil {
		got = *f.MD5
	}
	text := ""
	if want != 0 {
		sum := [md5.Size]byte{want}
		text = hex.EncodeToString(sum[:])
	}
	e.same("MD5", got, text)
}

// eventsOf expects the uids of all events of a kind there were, in order.
func (e *env) eventsOf(kind protocol.EventKind, want ...protocol.UID) {
	e.Helper()
	var got []protocol.UID
	for _, ev := range e.eventsAfter(0) {
		if ev.Kind == kind {
			got = append(got, ev.UID)
		}
	}
	e.same("events "+string(kind), got, want)
}
