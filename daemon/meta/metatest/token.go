package metatest

import (
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var tokenTests = map[string]func(*env){
	"a token as it was made": func(e *env) {
		has, err := e.db.HasTokens(e.ctx)
		e.ok(err)
		e.same("none", has, false)
		expires := e.clock.Now().Add(time.Hour)
		k := meta.Token{ID: "t1", Owner: alice, Scopes: []string{"file:read", "admin"}, Note: "for CI", ExpiresAt: &expires, Hash: [32]byte{1, 2}}
		e.ok(e.db.CreateToken(e.ctx, k))
		e.kind(e.db.CreateToken(e.ctx, k), protocol.KindConflict)
		got, found, err := e.db.TokenByID(e.ctx, "t1")
		e.ok(err)
		e.same("found", found, true)
		e.same("token", []any{got.ID, got.Owner, got.Scopes, got.Note, got.CreatedAt, *got.ExpiresAt, got.UsedAt == nil, got.RevokedAt == nil, got.Hash},
			[]any{"t1", alice, k.Scopes, "for CI", e.clock.Now(), expires, true, true, k.Hash})
		_, found, err = e.db.TokenByID(e.ctx, "t")
		e.ok(err)
		e.same("unknown", found, false)
		bare := meta.Token{ID: "t0", Owner: bob, CreatedAt: expires}
		e.ok(e.db.CreateToken(e.ctx, bare))
		got, _, err = e.db.TokenByID(e.ctx, "t0")
		e.ok(err)
		e.same("bare", []any{len(got.Scopes), got.CreatedAt}, []any{0, expires})
		for owner, want := range map[protocol.Owner][]string{"": {"t0", "t1"}, alice: {"t1"}, bob: {"t0"}, "carol": nil} {
			list, err := e.db.Tokens(e.ctx, owner)
			e.ok(err)
			var got []string
			for _, k := range list {
				got = append(got, k.ID)
			}
			e.same("tokens of "+string(owner), got, want)
		}
	},
	"revocation is for good, and leaves the daemon closed": func(e *env) {
		e.kind(e.db.RevokeToken(e.ctx, "t"), protocol.KindNotFound)
		e.ok(e.db.CreateToken(e.ctx, meta.Token{ID: "t", Owner: alice}))
		at := e.clock.Now()
		for range 2 {
			e.ok(e.db.RevokeToken(e.ctx, "t"))
			got, _, err := e.db.TokenByID(e.ctx, "t")
			e.ok(err)
			e.same("revoked", *got.RevokedAt, at)
			e.clock.Add(time.Second)
		}
		has, err := e.db.HasTokens(e.ctx)
		e.ok(err)
		e.same("still has tokens", has, true)
	},
	"who may not make tokens now makes none": func(e *env) {
		makes := func(by, id string) error { return e.db.CreateTokenBy(e.ctx, by, meta.Token{ID: id, Owner: alice}) }
		e.kind(makes("unknown", "a"), protocol.KindUnauthenticated)
		made := make(chan error)
		for i := range 4 {
			go func() { made <- makes("", fmt.Sprint("first", i)) }()
		}
		var failed []error
		for range 4 {
			if err := <-made; err != nil {
				failed = append(failed, err)
				e.kind(err, protocol.KindUnauthenticated)
			}
		}
		e.same("who had none and was too late", len(failed), 3)
		soon := e.clock.Now().Add(time.Hour)
		e.ok(e.db.CreateToken(e.ctx, meta.Token{ID: "root", Owner: alice, ExpiresAt: &soon}))
		e.ok(makes("root", "b"))
		e.ok(e.db.RevokeToken(e.ctx, "b"))
		e.kind(makes("b", "c"), protocol.KindUnauthenticated)
		e.clock.Add(time.Hour)
		e.kind(makes("root", "c"), protocol.KindUnauthenticated)
		list, err := e.db.Tokens(e.ctx, "")
		e.ok(err)
		e.same("tokens", len(list), 3)
	},
	"use is noted, coarsely": func(e *env) {
		e.ok(e.db.TouchToken(e.ctx, "unknown"))
		e.ok(e.db.CreateToken(e.ctx, meta.Token{ID: "t", Owner: alice}))
		first := e.clock.Now()
		for _, w := range []struct{ after, want time.Duration }{{0, 0}, {59 * time.Second, 0}, {time.Minute, time.Minute}} {
			e.clock.Add(w.after - e.clock.Now().Sub(first))
			e.ok(e.db.TouchToken(e.ctx, "t"))
			got, _, err := e.db.TokenByID(e.ctx, "t")
			e.ok(err)
			e.same(fmt.Sprint("used after ", w.after), *got.UsedAt, first.Add(w.want))
		}
	},
	"the pepper is made once": func(e *env) {
		first, err := e.db.TokenPepper(e.ctx)
		e.ok(err)
		again, err := e.db.TokenPepper(e.ctx)
		e.ok(err)
		if first != again || first == [32]byte{} {
			e.Fatalf("got %x, then %x", first, again)
		}
	},
}
