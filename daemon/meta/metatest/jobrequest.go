package metatest

import (
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// requestTests are about jobs that callers ask for.
var requestTests = map[string]func(*env){
	"a job and its answer are one": func(e *env) {
		ask := func(owner protocol.Owner, n meta.NewJob, key *meta.Idempotency) (j meta.Job, made bool, err error) {
			err = e.db.RequestJob(e.ctx, owner, n, func(job meta.Job, isNew bool) (*meta.Idempotency, error) {
				j, made = job, isNew
				return key, nil
			})
			return j, made, err
		}
		key := &meta.Idempotency{Key: "k", Request: [32]byte{1}, Answer: []byte("{}"), Created: true, UID: 7}
		first, made, err := ask(alice, meta.NewJob{Kind: "k", Subject: "s"}, key)
		e.ok(err)
		e.same("made", []any{made, first.Kind, first.State}, []any{true, "k", protocol.JobReady})
		again, made, err := ask(alice, meta.NewJob{Kind: "k", Subject: "s", Priority: protocol.PriorityHigh}, nil)
		e.ok(err)
		e.same("found, and moved up", []any{made, again.ID, again.Priority}, []any{false, first.ID, protocol.PriorityHigh})
		kept, err := e.db.Answer(e.ctx, alice, "k")
		e.ok(err)
		e.same("kept", *kept, *key)
		other := *key
		other.Request = [32]byte{2}
		_, _, err = ask(alice, meta.NewJob{Kind: "k"}, &other)
		e.kind(err, protocol.KindIdempotencyMismatch)
		_, _, err = ask(alice, meta.NewJob{Kind: "k"}, key)
		e.kind(err, protocol.KindConflict)
		_, _, err = ask(bob, meta.NewJob{Kind: "k"}, key)
		e.ok(err)
		jobs, err := e.db.Jobs(e.ctx, meta.AnyOwner, meta.JobQuery{Limit: 10})
		e.ok(err)
		e.same("what was refused made none", len(jobs), 2)
	},
}
