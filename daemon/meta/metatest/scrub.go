package metatest

import (
	"encoding/json"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var scrubTests = map[string]func(*env){
	"a content is read once for all who asked": func(e *env) {
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.clock.Add(time.Millisecond)
		e.ok(e.db.EnqueueScrub(e.ctx, 8))
		e.same("due", e.scrubs(), []meta.ContentID{7, 8})
		j := e.leaseAll(one, 1, protocol.JobScrub)[0]
		e.same("oldest first", j.Subject, "content/7")
		e.ok(e.db.EnqueueScrub(e.ctx, 7))
		e.same("asked for again while it is read", e.scrubs(), []meta.ContentID{8, 7})
		e.end(j, meta.ResultDone)
		e.same("left", e.scrubs(), []meta.ContentID{8, 7})
	},
}

// scrubs are the contents of which a scrub waits, by age.
func (e *env) scrubs() (list []meta.ContentID) {
	e.Helper()
	jobs, err := e.db.Jobs(e.ctx, meta.AnyOwner, meta.JobQuery{Limit: 100, Kind: protocol.JobScrub, State: protocol.JobReady})
	e.ok(err)
	for _, j := range jobs {
		var args meta.ScrubArgs
		e.ok(json.Unmarshal(j.Args, &args))
		list = append([]meta.ContentID{args.Content}, list...)
	}
	return list
}
