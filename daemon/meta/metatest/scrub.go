package metatest

import (
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var scrubTests = map[string]func(*env){
	"a scrub is due once": func(e *env) {
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.clock.Add(time.Millisecond)
		e.ok(e.db.EnqueueScrub(e.ctx, 8))
		due := e.due(10)
		e.same("due", len(due), 2)
		c, err := due[0].Content()
		e.ok(err)
		e.same("oldest first", []any{due[0].Kind, c}, []any{protocol.JobScrub, 7})
		e.same("limit", len(e.due(1)), 1)
		none, err := e.db.DueJobs(e.ctx, "compose", 10)
		e.ok(err)
		e.same("of another kind", len(none), 0)
		e.ok(e.db.FinishJob(e.ctx, due[0].ID, ""))
		e.kind(e.db.FinishJob(e.ctx, due[0].ID, ""), protocol.KindNotFound)
		e.same("left", len(e.due(10)), 1)
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.same("asked for again", len(e.due(10)), 2)
		_, err = meta.Job{}.Content()
		e.kind(err, protocol.KindInternal)
	},
	"a scrub that fails is tried ten times": func(e *env) {
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		for attempt := range 10 {
			due := e.due(10)
			e.same("due", len(due), 1)
			e.same("attempts", due[0].Attempts, attempt)
			e.ok(e.db.FinishJob(e.ctx, due[0].ID, "the store is away"))
			e.same("not at once", len(e.due(10)), 0)
			e.clock.Add(time.Minute)
		}
		e.same("dead", len(e.due(10)), 0)
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.same("asked for again", len(e.due(10)), 1)
	},
}

func (e *env) due(limit int) []meta.Job {
	e.Helper()
	list, err := e.db.DueJobs(e.ctx, protocol.JobScrub, limit)
	e.ok(err)
	return list
}
