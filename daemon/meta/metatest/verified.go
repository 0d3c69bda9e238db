package metatest

import (
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var verifiedTests = map[string]func(*env){
	"what can be scrubbed": func(e *env) {
		var want []meta.ContentID
		add := func(f protocol.File) { _, c := e.contentOf(f.UID); want = append(want, c.ID) }
		add(e.putShot("a", 1, 5))
		e.commitUnknown("unknown", 7)
		gone := e.putShot("gone", 2, 11)
		damaged := e.putShot("damaged", 3, 13)
		_, c := e.contentOf(damaged.UID)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		want = append(want, c.ID)
		add(e.putShot("b", 4, 17))
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		bytes, last, err := e.db.ScrubSize(e.ctx)
		e.ok(err)
		e.same("size", []any{bytes, last}, []any{35, want[2]})
		_, f := e.put("later", 5, 19)
		_, later := e.contentOf(f.UID)
		list := e.scrubbable(0, last, 10)
		e.same("contents", []any{len(list), list[0].Content, list[0].Size, list[1].Content, list[2].Content}, []any{3, want[0], 5, want[1], want[2]})
		e.same("damaged", []any{list[0].Damaged, list[1].Damaged, list[2].Damaged}, []any{false, true, false})
		e.same("verified", list[0].VerifiedAt.Equal(e.clock.Now()), true)
		e.same("one at a time", []any{len(e.scrubbable(0, last, 1)), e.scrubbable(want[0], last, 1)[0].Content}, []any{1, want[1]})
		e.same("behind the last", len(e.scrubbable(last, last, 10)), 0)
		e.same("a later one", e.scrubbable(last, later.ID, 10)[0].Content, later.ID)
	},
	"nothing": func(e *env) {
		bytes, last, err := e.db.ScrubSize(e.ctx)
		e.ok(err)
		e.same("size", []any{bytes, last}, []any{0, 0})
	},
	"a content is verified where it lay": func(e *env) {
		_, sound := e.contentOf(e.putShot("a", 1, 5).UID)
		moved := e.putShot("b", 2, 5)
		_, before := e.contentOf(moved.UID)
		_, damaged := e.contentOf(e.putShot("c", 3, 5).UID)
		e.putShot("b again", 2, 5)
		e.ok(e.db.MarkDamaged(e.ctx, damaged.ID, damaged.Gen))
		e.clock.Add(time.Hour)
		e.ok(e.db.MarkVerified(e.ctx, []meta.Verified{{Content: damaged.ID, Gen: damaged.Gen}, {Content: before.ID, Gen: before.Gen},
			{Content: sound.ID, Gen: sound.Gen}, {Content: 7777}}))
		got := map[meta.ContentID]bool{}
		for _, s := range e.scrubbable(0, 7777, 10) {
			got[s.Content] = s.VerifiedAt.Equal(e.clock.Now())
		}
		e.same("verified now", got, map[meta.ContentID]bool{sound.ID: true, before.ID: false, damaged.ID: false})
		e.ok(e.db.MarkVerified(e.ctx, nil))
	},
	"a damaged content that was read right is healed": func(e *env) {
		uids := e.share("a", "b")
		_, c := e.contentOf(uids[0])
		e.damageOf(uids[0])
		e.clock.Add(time.Hour)
		since := e.lastEvent()
		v := meta.Verified{Content: c.ID, Gen: c.Gen}
		e.same("healed once", []bool{e.heals(v), e.heals(v)}, []bool{true, false})
		for _, uid := range uids {
			_, got := e.contentOf(uid)
			e.same("healed", []any{got.ID, got.State, got.Gen, len(got.Extents)}, []any{c.ID, meta.ContentLive, c.Gen + 1, 1})
		}
		e.same("told", eventsText(e.eventsAfter(since)), eventText(protocol.EventContentHealed, uids[0])+" "+eventText(protocol.EventContentHealed, uids[1]))
		e.same("verified", e.scrubbable(0, c.ID, 10)[0].VerifiedAt.Equal(e.clock.Now()), true)
		e.damageOf(uids[1])
		_, got := e.contentOf(uids[0])
		e.same("damaged again", got.State, meta.ContentDamaged)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"what was read before it was healed says nothing of what comes after": func(e *env) {
		f := e.putShot("a", 1, 5)
		_, old := e.contentOf(f.UID)
		v := meta.Verified{Content: old.ID, Gen: old.Gen}
		e.damageOf(f.UID)
		e.same("healed", e.heals(v), true)
		verified := e.scrubbable(0, old.ID, 10)[0].VerifiedAt
		e.clock.Add(time.Hour)
		e.ok(e.db.MarkVerified(e.ctx, []meta.Verified{v}))
		e.same("verified by the old reading", e.scrubbable(0, old.ID, 10)[0].VerifiedAt.Equal(verified), true)
		e.ok(e.db.MarkDamaged(e.ctx, old.ID, old.Gen))
		_, c := e.contentOf(f.UID)
		e.same("marked by it", c.State, meta.ContentLive)
		e.damageOf(f.UID)
		e.same("healed by it", e.heals(v), false)
		_, c = e.contentOf(f.UID)
		e.same("still", c.State, meta.ContentDamaged)
		e.same("healed by a new one", e.heals(meta.Verified{Content: c.ID, Gen: c.Gen}), true)
	},
	"what was read before it was found damaged once more does not heal it": func(e *env) {
		f := e.putShot("a", 1, 5)
		e.damageOf(f.UID)
		_, read := e.contentOf(f.UID)
		since := e.lastEvent()
		e.damageOf(f.UID) // by a reader who began before the first mark
		e.same("told", len(e.eventsAfter(since)), 0)
		e.same("healed", e.heals(meta.Verified{Content: read.ID, Gen: read.Gen}), false)
		_, c := e.contentOf(f.UID)
		e.same("still", []any{c.State, len(c.Extents)}, []any{meta.ContentDamaged, 1})
		e.same("healed by a new reading", e.heals(meta.Verified{Content: c.ID, Gen: c.Gen}), true)
	},
	"what was read elsewhere heals nothing": func(e *env) {
		_, f := e.put("moved", 1, 5)
		_, before := e.contentOf(f.UID)
		e.put("again", 1, 5)
		e.damageOf(f.UID)
		_, c := e.contentOf(f.UID)
		gone := e.putShot("gone", 2, 5)
		_, deleted := e.contentOf(gone.UID)
		e.damageOf(gone.UID)
		e.ok(e.db.DeleteFile(e.ctx, alice, gone.UID))
		unknown := e.commitUnknown("unknown", 7)
		_, u := e.contentOf(unknown.UID)
		e.damageOf(unknown.UID)
		since := e.lastEvent()
		for _, v := range []meta.Verified{{Content: c.ID, Gen: before.Gen}, {Content: deleted.ID, Gen: deleted.Gen}, {Content: u.ID, Gen: u.Gen}, {Content: 7777}} {
			e.same("healed", e.heals(v), false)
		}
		for _, uid := range []protocol.UID{f.UID, unknown.UID} {
			_, c := e.contentOf(uid)
			e.same("still", c.State, meta.ContentDamaged)
		}
		e.same("told", len(e.eventsAfter(since)), 0)
	},
}

// heals heals the content, and reports whether that was one to be healed.
func (e *env) heals(v meta.Verified) bool {
	e.Helper()
	healed, err := e.db.HealVerified(e.ctx, v)
	e.ok(err)
	return healed
}

func (e *env) scrubbable(after, until meta.ContentID, limit int) []meta.Scrubbable {
	e.Helper()
	list, err := e.db.Scrubbable(e.ctx, after, until, limit)
	e.ok(err)
	return list
}
