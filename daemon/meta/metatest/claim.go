package metatest

import (
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const claimSize = 5

// maybe is an open upload of the owner's that was told that a claim may
// succeed.
func (e *env) maybe(owner protocol.Owner, name string) meta.Upload {
	e.Helper()
	n := e.newUpload(name)
	size, fp := int64(claimSize), protocol.Fingerprint{1}
	n.Owner, n.Size, n.Fingerprint, n.Maybe = owner, &size, &fp, true
	return e.begin(n)
}

// challenge is one for the digest that d names.
func (e *env) challenge(d, nonce byte) meta.Challenge {
	return meta.Challenge{Digest: protocol.Digest{d}, Nonce: protocol.Nonce{nonce}, Ranges: [][2]int64{{0, claimSize}},
		ExpiresAt: e.clock.Now().Add(time.Minute)}
}

// start starts a claim of alice's, to the content that 1 names, that must start.
func canRead(meta.Content) error { return nil }

func (e *env) start(uid protocol.UID, nonce byte) meta.Content {
	e.Helper()
	c, err := e.db.StartClaim(e.ctx, alice, uid, e.challenge(1, nonce), meta.ScopeOwner)
	e.ok(err)
	return c
}

// claim is the last step of a claim, with a nonce and a proof that n names.
func (e *env) claim(owner protocol.Owner, uid protocol.UID, c meta.Content, n byte, scope meta.Scope) (protocol.File, error) {
	return e.db.Claim(e.ctx, owner, uid, c.ID, c.Gen, protocol.Nonce{n}, [32]byte{n}, `"e"`, e.clock.Now(), scope)
}

func (e *env) mayHave(owner protocol.Owner, scope meta.Scope, size int64, fp byte) bool {
	e.Helper()
	may, err := e.db.MayHave(e.ctx, owner, scope, size, protocol.Fingerprint{fp})
	e.ok(err)
	other := protocol.ProbeItem{Size: claimSize, Fingerprint: protocol.Fingerprint{99}}
	each, err := e.db.MayHaveEach(e.ctx, owner, scope, []protocol.ProbeItem{other, {Size: size, Fingerprint: protocol.Fingerprint{fp}}, other})
	e.ok(err)
	e.same("among others", each, []bool{false, may, false})
	return may
}

// contentText prints a content without its pointers.
func contentText(c meta.Content) string {
	return fmt.Sprint(c.ID, c.Size, *c.Digest, c.State, c.Gen, c.Extents)
}

var claimTests = map[string]func(*env){
	"maybe": func(e *env) {
		u, _ := e.put("x", 1, claimSize)
		_, c, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		for _, w := range []struct {
			what  string
			owner protocol.Owner
			scope meta.Scope
			size  int64
			fp    byte
			want  bool
		}{
			{"own", alice, meta.ScopeOwner, claimSize, 1, true},
			{"anybody's", alice, meta.ScopeGlobal, claimSize, 1, true},
			{"off", alice, meta.ScopeOff, claimSize, 1, false},
			{"no scope at all", alice, "", claimSize, 1, false},
			{"another's", bob, meta.ScopeOwner, claimSize, 1, false},
			{"another's, global", bob, meta.ScopeGlobal, claimSize, 1, true},
			{"another size", alice, meta.ScopeOwner, claimSize + 1, 1, false},
			{"another fingerprint", alice, meta.ScopeOwner, claimSize, 2, false},
			{"no size", alice, meta.ScopeOwner, 0, 1, false},
		} {
			e.same(w.what, e.mayHave(w.owner, w.scope, w.size, w.fp), w.want)
		}
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		e.same("damaged", e.mayHave(alice, meta.ScopeGlobal, claimSize, 1), false)
		again, _ := e.put("y", 1, claimSize)
		e.same("healed", e.mayHave(alice, meta.ScopeOwner, claimSize, 1), true)
		e.ok(e.db.DeleteFile(e.ctx, alice, u.UID))
		e.same("one of two deleted", e.mayHave(alice, meta.ScopeOwner, claimSize, 1), true)
		at := e.clock.Now().Add(time.Second)
		pat := &at
		_, err = e.db.PatchFile(e.ctx, alice, again.UID, meta.FilePatch{ExpiresAt: &pat})
		e.ok(err)
		e.clock.Add(time.Second)
		e.same("expired", e.mayHave(alice, meta.ScopeOwner, claimSize, 1), false)
	},
	"an empty file is never claimed": func(e *env) {
		n := e.oneShot("x", 1, 0)
		n.Blob = nil
		_, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		e.same("maybe", e.mayHave(alice, meta.ScopeGlobal, 0, 1), false)
		m := e.newUpload("y")
		size := int64(0)
		m.Size, m.Maybe = &size, true
		_, err = e.db.StartClaim(e.ctx, alice, e.begin(m).UID, e.challenge(1, 1), meta.ScopeGlobal)
		e.kind(err, protocol.KindClaimRefused)
	},
	"a claim makes the file": func(e *env) {
		first, _ := e.put("x", 1, claimSize)
		u := e.maybe(alice, "y")
		e.same("maybe is kept", u.Maybe, true)
		e.record(u.UID, part(1, u.Blob, 0, claimSize))
		own, err := e.db.AddBlob(e.ctx, e.newBlob(5), u.UID)
		e.ok(err)
		want := e.challenge(1, 7)
		started := e.start(u.UID, 7)
		got, c, err := e.db.TakeChallenge(e.ctx, alice, u.UID, protocol.Nonce{7}, meta.ScopeOwner, canRead)
		e.ok(err)
		e.same("challenge", got, want)
		e.same("content", contentText(c), contentText(started))
		e.same("extents", c.Extents[0].Blob, first.Blob)
		e.clock.Add(time.Second)
		f, err := e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.ok(err)
		e.same("file", []any{f.UID, f.Owner, f.Name, f.Size, f.ETag, *f.Digest, f.CommittedAt.Time}, []any{u.UID, alice, "y", claimSize, `"e"`, protocol.Digest{1}, e.clock.Now()})
		_, now, err := e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("on the same content", contentText(now), contentText(c))
		for _, b := range []meta.BlobID{u.Blob, own} {
			e.blobState(b, meta.BlobDoomed)
		}
		up, err := e.db.Upload(e.ctx, alice, u.UID)
		e.ok(err)
		e.same("upload", []any{up.State, up.Maybe, up.Blob, up.File.UID}, []any{protocol.UploadCommitted, true, 0, u.UID})
		_, err = e.db.RecordPart(e.ctx, alice, u.UID, part(2, own, 5, 5))
		e.kind(err, protocol.KindCommitted)
		_, err = e.db.Commit(e.ctx, e.commitOf(u, 1, 1, claimSize))
		e.kind(err, protocol.KindCommitted)
		e.ok(e.db.DeleteFile(e.ctx, alice, first.UID))
		_, _, err = e.db.Content(e.ctx, alice, u.UID)
		e.ok(err)
		e.ok(e.db.CheckDatabase(e.ctx))
	},
	"the same claim again": func(e *env) {
		e.put("x", 1, claimSize)
		u := e.maybe(alice, "y")
		claimed := func(owner protocol.Owner, uid protocol.UID, nonce, proof byte) bool {
			f, err := e.db.Claimed(e.ctx, owner, uid, protocol.Nonce{nonce}, [32]byte{proof})
			e.ok(err)
			if f != nil {
				e.same("file", f.UID, uid)
			}
			return f != nil
		}
		c := e.start(u.UID, 7)
		e.same("not yet", claimed(alice, u.UID, 7, 7), false)
		e.same("nothing for nothing", claimed(alice, u.UID, 0, 0), false)
		_, err := e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.ok(err)
		e.same("after", claimed(alice, u.UID, 7, 7), true)
		e.same("another nonce", claimed(alice, u.UID, 8, 7), false)
		e.same("another proof", claimed(alice, u.UID, 7, 8), false)
		e.same("another owner", claimed(bob, u.UID, 7, 7), false)
		e.same("another upload", claimed(alice, e.maybe(alice, "z").UID, 7, 7), false)
		e.same("an unknown upload", claimed(alice, 77, 7, 7), false)
		_, err = e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindClaimRefused)
		e.ok(e.db.DeleteFile(e.ctx, alice, u.UID))
		e.same("after deletion", claimed(alice, u.UID, 7, 7), false)
	},
	"what does not fit is refused": func(e *env) {
		_, f := e.put("x", 1, claimSize)
		u := e.maybe(alice, "y")
		no := e.newUpload("told no")
		size, other := int64(claimSize), int64(claimSize+1)
		no.Size = &size
		unsized := e.newUpload("no size")
		unsized.Maybe = true
		sized := e.newUpload("another size")
		sized.Size, sized.Maybe = &other, true
		done := e.maybe(alice, "done")
		_, err := e.db.Commit(e.ctx, e.commitOf(done, e.record(done.UID, part(1, done.Blob, 0, claimSize)), 9, claimSize, meta.Extent{Blob: done.Blob, Length: claimSize}))
		e.ok(err)
		for _, w := range []struct {
			what  string
			owner protocol.Owner
			uid   protocol.UID
			d     byte
			scope meta.Scope
			kind  protocol.Kind
		}{
			{"an unknown digest", alice, u.UID, 2, meta.ScopeOwner, protocol.KindClaimRefused},
			{"off", alice, u.UID, 1, meta.ScopeOff, protocol.KindClaimRefused},
			{"not told maybe", alice, e.begin(no).UID, 1, meta.ScopeOwner, protocol.KindClaimRefused},
			{"no size", alice, e.begin(unsized).UID, 1, meta.ScopeOwner, protocol.KindClaimRefused},
			{"another size", alice, e.begin(sized).UID, 1, meta.ScopeOwner, protocol.KindClaimRefused},
			{"another's content", bob, e.maybe(bob, "b").UID, 1, meta.ScopeOwner, protocol.KindClaimRefused},
			{"committed", alice, done.UID, 1, meta.ScopeOwner, protocol.KindClaimRefused},
			{"another's upload", bob, u.UID, 1, meta.ScopeGlobal, protocol.KindNotFound},
			{"an unknown upload", alice, 77, 1, meta.ScopeGlobal, protocol.KindNotFound},
		} {
			_, err := e.db.StartClaim(e.ctx, w.owner, w.uid, e.challenge(w.d, 7), w.scope)
			if got := protocol.KindOf(err); got != w.kind {
				e.Fatalf("%s: got %v", w.what, err)
			}
			_, _, err = e.db.TakeChallenge(e.ctx, w.owner, w.uid, protocol.Nonce{7}, w.scope, canRead)
			if got := protocol.KindOf(err); got != w.kind {
				e.Fatalf("%s, second round: got %v", w.what, err)
			}
		}
		_, c, err := e.db.Content(e.ctx, alice, f.UID)
		e.ok(err)
		_, err = e.claim(bob, e.maybe(bob, "c").UID, c, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindClaimRefused)
		_, err = e.claim(bob, u.UID, c, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindNotFound)
		later := c
		later.Gen++
		_, err = e.claim(alice, u.UID, later, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindClaimRefused)
		_, err = e.claim(bob, e.maybe(bob, "d").UID, c, 7, meta.ScopeGlobal)
		e.ok(err)
	},
	"a nonce is good once": func(e *env) {
		e.put("x", 1, claimSize)
		u, other := e.maybe(alice, "y"), e.maybe(alice, "z")
		take := func(owner protocol.Owner, uid protocol.UID, nonce byte) error {
			_, _, err := e.db.TakeChallenge(e.ctx, owner, uid, protocol.Nonce{nonce}, meta.ScopeOwner, canRead)
			return err
		}
		e.kind(take(alice, u.UID, 0), protocol.KindClaimRefused)
		e.start(u.UID, 7)
		e.kind(take(alice, u.UID, 8), protocol.KindClaimRefused)
		e.kind(take(alice, other.UID, 7), protocol.KindClaimRefused)
		e.kind(take(bob, u.UID, 7), protocol.KindNotFound)
		e.ok(take(alice, u.UID, 7))
		e.kind(take(alice, u.UID, 7), protocol.KindClaimRefused)
		e.start(u.UID, 8)
		e.start(u.UID, 9)
		e.kind(take(alice, u.UID, 8), protocol.KindClaimRefused)
		e.clock.Add(time.Minute)
		e.kind(take(alice, u.UID, 9), protocol.KindClaimRefused)
		e.clock.Add(-time.Minute) // a clock that is set back makes it no good again
		e.kind(take(alice, u.UID, 9), protocol.KindClaimRefused)
	},
	"a challenge whose content the caller cannot read is not used": func(e *env) {
		e.put("x", 1, claimSize)
		u := e.maybe(alice, "y")
		e.start(u.UID, 7)
		away := protocol.Errorf(protocol.KindOwnerDown, "it is elsewhere")
		var asked meta.Content
		for range 2 {
			_, _, err := e.db.TakeChallenge(e.ctx, alice, u.UID, protocol.Nonce{7}, meta.ScopeOwner, func(c meta.Content) error {
				asked = c
				return away
			})
			e.kind(err, protocol.KindOwnerDown)
		}
		e.same("asked with where it lies", len(asked.Extents), 1)
		_, _, err := e.db.TakeChallenge(e.ctx, alice, u.UID, protocol.Nonce{7}, meta.ScopeOwner, canRead)
		e.ok(err)
	},
	"a content that goes meanwhile": func(e *env) {
		first, f := e.put("x", 1, claimSize)
		u := e.maybe(alice, "y")
		e.start(u.UID, 7)
		_, c, err := e.db.TakeChallenge(e.ctx, alice, u.UID, protocol.Nonce{7}, meta.ScopeOwner, canRead)
		e.ok(err)
		e.start(u.UID, 8)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		_, err = e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindClaimRefused)
		for range 2 { // the nonce is used although the claim is refused
			_, _, err = e.db.TakeChallenge(e.ctx, alice, u.UID, protocol.Nonce{8}, meta.ScopeOwner, canRead)
			e.kind(err, protocol.KindClaimRefused)
		}
		e.blobState(first.Blob, meta.BlobDoomed)
		gen := e.record(u.UID, part(1, u.Blob, 0, claimSize))
		_, err = e.db.Commit(e.ctx, e.commitOf(u, gen, 1, claimSize, meta.Extent{Blob: u.Blob, Length: claimSize}))
		e.ok(err)
	},
	"the owner's own file goes, another's stays": func(e *env) {
		_, f := e.put("x", 1, claimSize)
		n := e.oneShot("b", 1, claimSize)
		n.Owner = bob
		_, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		_, c, err := e.db.Content(e.ctx, alice, f.UID)
		e.ok(err)
		u := e.maybe(alice, "y")
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		_, err = e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindClaimRefused)
		_, err = e.claim(alice, u.UID, c, 7, meta.ScopeGlobal)
		e.ok(err)
	},
	"a damaged content is never claimed": func(e *env) {
		_, f := e.put("x", 1, claimSize)
		_, c, err := e.db.Content(e.ctx, alice, f.UID)
		e.ok(err)
		u := e.maybe(alice, "y")
		e.start(u.UID, 7)
		e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
		_, _, err = e.db.TakeChallenge(e.ctx, alice, u.UID, protocol.Nonce{7}, meta.ScopeOwner, canRead)
		e.kind(err, protocol.KindClaimRefused)
		_, err = e.claim(alice, u.UID, c, 7, meta.ScopeOwner)
		e.kind(err, protocol.KindClaimRefused)
		_, err = e.db.StartClaim(e.ctx, alice, u.UID, e.challenge(1, 7), meta.ScopeGlobal)
		e.kind(err, protocol.KindClaimRefused)
	},
}
