package metatest

import (
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var idempotencyTests = map[string]func(*env){
	"an answer is kept for a day": func(e *env) {
		none, err := e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("none", none == nil, true)
		want := meta.Idempotency{Key: "k", Request: [32]byte{1}, Answer: []byte("{}"), Created: true, UID: 7}
		e.ok(e.db.SaveAnswer(e.ctx, alice, want))
		got, err := e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("answer", *got, want)
		e.kind(e.db.SaveAnswer(e.ctx, alice, want), protocol.KindConflict)
		other := want
		other.Request = [32]byte{2}
		e.kind(e.db.SaveAnswer(e.ctx, alice, other), protocol.KindIdempotencyMismatch)
		e.clock.Add(24*time.Hour - time.Millisecond)
		got, err = e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("still there", got != nil, true)
		e.clock.Add(time.Millisecond)
		got, err = e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("gone", got == nil, true)
		e.ok(e.db.SaveAnswer(e.ctx, alice, other))
		got, err = e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("the key's new answer", got.Request, other.Request)
	},
	"a request under a clock that is ahead ends no other's answer": func(e *env) {
		e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: "k", Request: [32]byte{1}}))
		e.clock.Add(25 * time.Hour)
		e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: "ahead"}))
		e.clock.Add(-25 * time.Hour)
		got, err := e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("kept", got != nil, true)
	},
	"answers are pruned": func(e *env) {
		for _, key := range []string{"a", "b", "c"} {
			e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: key}))
		}
		at := e.clock.Now()
		e.clock.Add(time.Second)
		e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: "later"}))
		for _, want := range []int{2, 1, 0} {
			n, err := e.db.Prune(e.ctx, at, 2)
			e.ok(err)
			e.same("pruned", n, want)
		}
		for key, want := range map[string]bool{"a": false, "b": false, "c": false, "later": true} {
			got, err := e.db.Answer(e.ctx, alice, key)
			e.ok(err)
			e.same(key+" is there", got != nil, want)
		}
	},
	"an answer without a body": func(e *env) {
		e.ok(e.db.SaveAnswer(e.ctx, alice, meta.Idempotency{Key: "k", UID: 7}))
		got, err := e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("answer", len(got.Answer), 0)
	},
	"effect and answer come together or not at all": func(e *env) {
		idem := meta.Idempotency{Key: "k", Request: [32]byte{1}, Answer: []byte("{}")}
		n := e.newUpload("x")
		idem.UID = n.UID
		_, err := e.db.BeginUpload(e.ctx, n, &idem)
		e.ok(err)
		got, err := e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("uid", got.UID, n.UID)

		again := e.newUpload("y")
		_, err = e.db.BeginUpload(e.ctx, again, &idem)
		e.kind(err, protocol.KindConflict)
		_, err = e.db.Upload(e.ctx, alice, again.UID)
		e.kind(err, protocol.KindNotFound)
		e.same("blobs", e.blobCount(), 1)

		file := e.oneShot("z", 1, 5)
		other := meta.Idempotency{Key: "k", Request: [32]byte{2}}
		_, err = e.db.PutFile(e.ctx, file, &other)
		e.kind(err, protocol.KindIdempotencyMismatch)
		_, err = e.db.File(e.ctx, alice, file.UID)
		e.kind(err, protocol.KindNotFound)
		e.same("blobs", e.blobCount(), 1)

		unread := e.oneShot("z", 1, 5)
		unread.Blocks = nil
		fresh := meta.Idempotency{Key: "k2", Request: [32]byte{2}}
		_, err = e.db.PutFile(e.ctx, unread, &fresh)
		e.kind(err, protocol.KindInternal)
		got, err = e.db.Answer(e.ctx, alice, "k2")
		e.ok(err)
		e.same("no answer without its effect", got == nil, true)
		file.UID = e.uid()
		_, err = e.db.PutFile(e.ctx, file, &fresh)
		e.ok(err)
	},
}
