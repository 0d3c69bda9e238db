package metatest

import (
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var linkTests = map[string]func(*env){
	"one key signs, from the first need on": func(e *env) {
		first, err := e.db.LinkKeys(e.ctx)
		e.ok(err)
		again, err := e.db.LinkKeys(e.ctx)
		e.ok(err)
		e.same("keys", again, first)
		if len(first) != 1 || first[0].RetiredAt != nil || first[0].Secret == [32]byte{} || !first[0].CreatedAt.Equal(e.clock.Now()) {
			e.Fatalf("%+v", first)
		}
	},
	"keys that sign no more end at their time, and no sooner end is put off": func(e *env) {
		_, err := e.db.LinkKeys(e.ctx)
		e.ok(err)
		start := e.clock.Now()
		soon, late := start.Add(time.Hour), start.Add(48*time.Hour)
		_, err = e.db.RotateLinkKey(e.ctx, soon)
		e.ok(err)
		keys, err := e.db.RotateLinkKey(e.ctx, late)
		e.ok(err)
		e.same("ends", ends(keys), []string{soon.String(), late.String(), "signs"})
		if keys[0].Secret == keys[1].Secret || keys[1].Secret == keys[2].Secret {
			e.Fatal("two keys are one")
		}
		keys, err = e.db.RotateLinkKey(e.ctx, start)
		e.ok(err)
		e.same("ended at once", ends(keys), []string{start.String(), start.String(), start.String(), "signs"})
		kept, err := e.db.LinkKeys(e.ctx)
		e.ok(err)
		e.same("kept", kept, keys)
		n, err := e.db.PruneLinks(e.ctx, start.Add(-time.Millisecond), e.clock.Now(), 10)
		e.ok(err)
		e.same("pruned too soon", n, 0)
		n, err = e.db.PruneLinks(e.ctx, start, start, 2)
		e.ok(err)
		e.same("pruned", n, 2)
		left, err := e.db.LinkKeys(e.ctx)
		e.ok(err)
		e.same("left", left, keys[2:])
	},
	"a revocation is of one file, or of all of an owner's": func(e *env) {
		revoked := func(what string, want ...int64) {
			e.Helper()
			var got []int64
			for _, uid := range []int64{7, 8} {
				n, _, err := e.db.LinkRevoked(e.ctx, alice, protocol.UID(uid))
				e.ok(err)
				got = append(got, n)
			}
			n, _, err := e.db.LinkRevoked(e.ctx, bob, 7)
			e.ok(err)
			e.same(what, append(got, n), want)
			n, err = e.db.LinkRevocations(e.ctx)
			e.ok(err)
			most := int64(0)
			for _, w := range want {
				most = max(most, w)
			}
			e.same("count of "+what, n, most)
		}
		revoked("none", 0, 0, 0)
		e.ok(e.db.RevokeLinks(e.ctx, alice, 7))
		revoked("of one file", 1, 0, 0)
		e.ok(e.db.RevokeLinks(e.ctx, bob, 7))
		revoked("of another owner's", 1, 0, 2)
		e.ok(e.db.RevokeLinks(e.ctx, alice, 0))
		revoked("of all", 3, 3, 2)
		e.ok(e.db.RevokeLinks(e.ctx, alice, 8))
		revoked("of another file", 3, 4, 2)
	},
	"a link is used once, also when nothing is left of its file": func(e *env) {
		n := e.newUpload("x")
		n.Linked = true
		e.begin(n)
		again := e.newUpload("y")
		again.UID, again.Linked = n.UID, true
		_, err := e.db.BeginUpload(e.ctx, again, nil)
		e.kind(err, protocol.KindConflict)
		e.ok(e.db.AbortUpload(e.ctx, alice, n.UID))
		e.clock.Add(48 * time.Hour)
		pruned, err := e.db.Prune(e.ctx, e.clock.Now(), 100)
		e.ok(err)
		if pruned == 0 {
			e.Fatal("the row of the file is still there")
		}
		_, err = e.db.BeginUpload(e.ctx, again, nil)
		e.kind(err, protocol.KindConflict)
		forgotten, err := e.db.PruneLinks(e.ctx, e.clock.Now(), e.clock.Now(), 10)
		e.ok(err)
		e.same("forgotten", forgotten, 1)
	},
	"the first token ends what was signed while there was none": func(e *env) {
		for i := range 2 {
			e.ok(e.db.CreateToken(e.ctx, meta.Token{ID: string(rune('a' + i)), Owner: alice}))
			for owner, want := range map[protocol.Owner]int64{protocol.OwnerLocal: 1, alice: 0} {
				n, _, err := e.db.LinkRevoked(e.ctx, owner, 7)
				e.ok(err)
				e.same("revoked of "+string(owner), n, want)
			}
		}
	},
	"a revocation is forgotten at its time, and its number never given again": func(e *env) {
		e.ok(e.db.RevokeLinks(e.ctx, alice, 7))
		e.clock.Add(time.Hour)
		e.ok(e.db.RevokeLinks(e.ctx, alice, 8))
		n, err := e.db.PruneLinks(e.ctx, e.clock.Now(), e.clock.Now().Add(-time.Hour), 10)
		e.ok(err)
		e.same("pruned", n, 1)
		for uid, want := range map[int64]int64{7: 0, 8: 2} {
			n, _, err := e.db.LinkRevoked(e.ctx, alice, protocol.UID(uid))
			e.ok(err)
			e.same("revoked", n, want)
		}
		e.clock.Add(time.Hour)
		_, err = e.db.PruneLinks(e.ctx, e.clock.Now(), e.clock.Now(), 10)
		e.ok(err)
		e.ok(e.db.RevokeLinks(e.ctx, alice, 7))
		n64, count, err := e.db.LinkRevoked(e.ctx, alice, 7)
		e.ok(err)
		e.same("the next, and how many there were", []int64{n64, count}, []int64{3, 3})
	},
}

func ends(keys []meta.LinkKey) (list []string) {
	for _, k := range keys {
		if k.RetiredAt == nil {
			list = append(list, "signs")
			continue
		}
		list = append(list, k.RetiredAt.String())
	}
	return list
}
