package metatest

import (
	"encoding/json"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// take takes events for "me".
func (e *env) take(name string, limit int) meta.Batch {
	e.Helper()
	b, err := e.db.TakeEvents(e.ctx, name, "me", time.Minute, limit)
	e.ok(err)
	return b
}

func numbersOf(b meta.Batch) (list []int64) {
	for _, ev := range b.Events {
		list = append(list, ev.Number)
	}
	return list
}

var consumerTests = map[string]func(*env){
	"a consumer begins after what there was": func(e *env) {
		e.share("a")
		e.lastEvent()
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.same("nothing yet", len(e.take("c", 10).Events), 0)
		e.share("b", "c")
		e.lastEvent()
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.same("taken", numbersOf(e.take("c", 10)), []int64{2, 3})
		_, err := e.db.TakeEvents(e.ctx, "unknown", "me", time.Minute, 10)
		e.kind(err, protocol.KindInternal)
	},
	"what is settled does not come again": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.ok(e.db.RegisterConsumer(e.ctx, "d"))
		e.share("a", "b", "c", "d")
		e.lastEvent()
		e.same("first", numbersOf(e.take("c", 2)), []int64{1, 2})
		e.ok(e.db.SettleEvents(e.ctx, "c", "me", 2))
		b := e.take("c", 10)
		e.same("next", []any{numbersOf(b), b.Tries, b.Lost, b.Wait}, []any{[]int64{3, 4}, 0, 0, time.Duration(0)})
		e.ok(e.db.SettleEvents(e.ctx, "c", "me", 4))
		b = e.take("c", 10)
		e.same("none", []any{len(b.Events), b.Wait}, []any{0, time.Duration(0)})
		e.same("of another", len(e.take("d", 10).Events), 4)
	},
	"what was taken and not settled comes again, alone": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.share("a", "b")
		e.lastEvent()
		e.take("c", 10)
		for tries := 1; tries < 4; tries++ {
			b := e.take("c", 10)
			e.same("again", []any{numbersOf(b), b.Tries}, []any{[]int64{1}, tries})
		}
		e.ok(e.db.SettleEvents(e.ctx, "c", "me", 1))
		b := e.take("c", 10)
		e.same("next", []any{numbersOf(b), b.Tries}, []any{[]int64{2}, 0})
	},
	"what failed comes again after a pause": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.share("a", "b", "c")
		e.lastEvent()
		e.take("c", 10)
		e.ok(e.db.RetryEvents(e.ctx, "c", "me", 1, time.Minute)) // the second failed
		b := e.take("c", 10)
		e.same("not now", []any{len(b.Events), b.Wait}, []any{0, time.Minute})
		e.clock.Add(time.Minute)
		b = e.take("c", 10)
		e.same("once", []any{numbersOf(b), b.Tries}, []any{[]int64{2}, 1})
		e.ok(e.db.RetryEvents(e.ctx, "c", "me", 1, time.Minute))
		e.clock.Add(time.Minute)
		b = e.take("c", 10)
		e.same("twice", []any{numbersOf(b), b.Tries}, []any{[]int64{2}, 2})
		e.ok(e.db.RetryEvents(e.ctx, "c", "me", 1, time.Minute))
		e.clock.Add(-2 * meta.MaxEventPause) // the clock was ahead
		e.same("a time that a wrong clock wrote", numbersOf(e.take("c", 10)), []int64{2})
	},
	"a parked event becomes a job": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.share("a", "b")
		e.lastEvent()
		first := e.take("c", 10).Events[0]
		e.kind(e.db.ParkEvent(e.ctx, "c", "you", first, "oh"), protocol.KindConflict)
		e.ok(e.db.ParkEvent(e.ctx, "c", "me", first, "oh"))
		e.same("the others go on", numbersOf(e.take("c", 10)), []int64{2})
		j := e.leaseOf(protocol.JobEvent)
		var parked meta.ParkedEvent
		e.ok(json.Unmarshal(j.Args, &parked))
		e.same("job", []any{j.Owner, j.Subject, j.Error, parked.Consumer}, []any{"", "c/1", "oh", "c"})
		e.same("event", describe(meta.EventOf(parked.Event)), describe(first))
	},
	"one at a time": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, "c"))
		e.share("a", "b")
		e.lastEvent()
		e.take("c", 10)
		b, err := e.db.TakeEvents(e.ctx, "c", "you", time.Minute, 10)
		e.ok(err)
		e.same("held", []any{len(b.Events), b.Wait}, []any{0, time.Minute})
		e.clock.Add(time.Minute)
		b, err = e.db.TakeEvents(e.ctx, "c", "you", time.Minute, 10)
		e.ok(err)
		e.same("the lease is over", []any{numbersOf(b), b.Tries}, []any{[]int64{1}, 1})
		e.kind(e.db.SettleEvents(e.ctx, "c", "me", 2), protocol.KindConflict)
		e.kind(e.db.RetryEvents(e.ctx, "c", "me", 1, 0), protocol.KindConflict)
		e.ok(e.db.SettleEvents(e.ctx, "c", "you", 1))
		e.same("given back", numbersOf(e.take("c", 10)), []int64{2})
	},
}

// describe is an event as text, without pointers.
func describe(ev meta.Event) string { return string(ev.Message().Encode()) }

// leaseOf leases the one job of the kind that is due.
func (e *env) leaseOf(kind protocol.JobKind) meta.LeasedJob {
	e.Helper()
	jobs, err := e.db.LeaseJobs(e.ctx, meta.JobHolder{Name: "holder"}, meta.JobLine{Kind: kind}, time.Minute, 10)
	e.ok(err)
	e.same("due jobs of kind "+string(kind), len(jobs), 1)
	return jobs[0]
}
