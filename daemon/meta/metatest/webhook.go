package metatest

import (
	"context"
	"fmt"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// hook makes a webhook of the owner's that wants the kinds, all where there are
// none.
func (e *env) hook(owner protocol.Owner, kinds ...protocol.EventKind) meta.Webhook {
	e.Helper()
	if len(kinds) == 0 {
		kinds = protocol.EventKinds()
	}
	w, err := e.db.CreateWebhook(e.ctx, meta.Webhook{Owner: owner, URL: "https://example.com/", Secret: []byte("key"), Kinds: kinds})
	e.ok(err)
	return w
}

func (e *env) readHook(id protocol.WebhookID) meta.Webhook {
	e.Helper()
	w, err := e.db.Webhook(e.ctx, meta.AnyOwner, id)
	e.ok(err)
	return w
}

// putAs puts a file of the owner's.
func (e *env) putAs(owner protocol.Owner, name string, digest byte) protocol.UID {
	e.Helper()
	n := e.oneShot(name, digest, 5)
	n.Owner = owner
	f, err := e.db.PutFile(e.ctx, n, nil)
	e.ok(err)
	return f.UID
}

// fanOut numbers all events and hands them out.
func (e *env) fanOut() {
	e.Helper()
	e.number()
	for more := true; more; {
		var lost int64
		var err error
		more, lost, err = e.db.FanOut(e.ctx)
		e.ok(err)
		e.same("lost", lost, 0)
	}
}

// dueFor are the deliveries of a webhook that are to be sent now.
func (e *env) dueFor(w meta.Webhook) []meta.Delivery {
	e.Helper()
	_, list, err := e.db.DueDeliveries(e.ctx, w.ID, 100)
	e.ok(err)
	return list
}

// dueText are their events.
func (e *env) dueText(w meta.Webhook) (words []string) {
	e.Helper()
	for _, d := range e.dueFor(w) {
		words = append(words, eventText(d.Kind, d.UID))
	}
	return words
}

var webhookTests = map[string]func(*env){
	"a webhook as it was made": func(e *env) {
		e.share("before")
		e.lastEvent()
		want := meta.Webhook{Owner: alice, Everything: true, URL: "https://example.com/x", Secret: []byte{0, 1, 2},
			Kinds: []protocol.EventKind{protocol.EventJobDead, protocol.EventFileDeleted}, Note: "for CI"}
		made, err := e.db.CreateWebhook(e.ctx, want)
		e.ok(err)
		want.ID, want.Since, want.CreatedAt = made.ID, 1, e.clock.Now()
		e.same("made", made, want)
		got, err := e.db.Webhook(e.ctx, alice, made.ID)
		e.ok(err)
		e.same("read", got, want)
		other := e.hook(bob)
		_, err = e.db.Webhook(e.ctx, bob, made.ID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.Webhook(e.ctx, alice, 999)
		e.kind(err, protocol.KindNotFound)
		for owner, want := range map[protocol.Owner][]protocol.WebhookID{alice: {made.ID}, bob: {other.ID}, "carol": nil, meta.AnyOwner: {made.ID, other.ID}} {
			list, err := e.db.Webhooks(e.ctx, owner)
			e.ok(err)
			var ids []protocol.WebhookID
			for _, w := range list {
				ids = append(ids, w.ID)
			}
			e.same("webhooks of "+string(owner), ids, want)
		}
	},
	"an owner has some": func(e *env) {
		var last meta.Webhook
		for range protocol.MaxWebhooks {
			last = e.hook(alice)
		}
		_, err := e.db.CreateWebhook(e.ctx, meta.Webhook{Owner: alice, URL: "u", Secret: []byte("k")})
		e.kind(err, protocol.KindQuotaExceeded)
		e.hook(bob)
		e.ok(e.db.RemoveWebhook(e.ctx, alice, last.ID))
		e.hook(alice)
	},
	"a removed one gets nothing, and is forgotten in pieces": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w, stays := e.hook(alice), e.hook(alice)
		e.kind(e.db.RemoveWebhook(e.ctx, bob, w.ID), protocol.KindNotFound)
		e.share("a", "b", "c")
		e.fanOut()
		e.ok(e.db.RemoveWebhook(e.ctx, alice, w.ID))
		e.kind(e.db.RemoveWebhook(e.ctx, alice, w.ID), protocol.KindNotFound)
		_, err := e.db.Webhook(e.ctx, alice, w.ID)
		e.kind(err, protocol.KindNotFound)
		_, err = e.db.ReplayDeliveries(e.ctx, alice, w.ID, 10)
		e.kind(err, protocol.KindNotFound)
		e.same("due", len(e.dueFor(w)), 0)
		e.share("d")
		e.fanOut()
		for i, want := range []int{2, 2, 0} { // three deliveries and the webhook
			n, err := e.db.PruneWebhooks(e.ctx, time.Time{}, e.clock.Now(), 2)
			e.ok(err)
			e.same(fmt.Sprint("pruned in round ", i), n, want)
		}
		e.same("of another", e.readHook(stays.ID).Pending, 4)
	},
	"who gets what": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		before := e.putAs(alice, "before", 1)
		e.fanOut()
		mine, deletions := e.hook(alice), e.hook(alice, protocol.EventFileDeleted)
		all, err := e.db.CreateWebhook(e.ctx, meta.Webhook{Owner: bob, Everything: true, URL: "u", Secret: []byte("k"), Kinds: protocol.EventKinds()})
		e.ok(err)
		his := e.putAs(bob, "his", 2)
		e.ok(e.db.DeleteFile(e.ctx, alice, before))
		_, _, err = e.db.Enqueue(e.ctx, meta.NewJob{Kind: "k", MaxAttempts: 1})
		e.ok(err)
		e.ok(e.db.EndJob(e.ctx, e.leaseOf("k").Lease, meta.JobOutcome{Result: meta.ResultFailed}))
		e.fanOut()
		e.same("alice's own", e.dueText(mine), []string{eventText(protocol.EventFileDeleted, before)})
		e.same("of one kind", e.dueText(deletions), []string{eventText(protocol.EventFileDeleted, before)})
		e.same("all", e.dueText(all), []string{eventText(protocol.EventFileCommitted, his), eventText(protocol.EventFileDeleted, before),
			eventText(protocol.EventJobDead, 0)})
		e.fanOut()
		e.same("handed out once", e.readHook(all.ID).Pending, 3)
	},
	"events that were pruned are counted": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		e.share("a", "b")
		e.lastEvent()
		e.clock.Add(30 * time.Hour)
		e.prune(24*time.Hour, 10, 2)
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		e.share("c")
		e.number()
		more, lost, err := e.db.FanOut(e.ctx)
		e.ok(err)
		e.same("lost", []any{more, lost, e.readHook(w.ID).Pending}, []any{false, 2, 1})
	},
}

// fails notes a failure.
func (e *env) fails(ctx context.Context, d meta.Delivery, f meta.DeliveryFailure) (rests bool) {
	e.Helper()
	rests, err := e.db.DeliveryFailed(ctx, d, f)
	e.ok(err)
	return rests
}

// never is a rest that is none.
func never(int) time.Duration { return 0 }

var deliveryTests = map[string]func(*env){
	"one after the other of a uid": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		uids := e.share("a", "b")
		e.ok(e.db.DeleteFile(e.ctx, alice, uids[0]))
		e.fanOut()
		due := e.dueFor(w)
		e.same("at first", e.dueText(w), []string{eventText(protocol.EventFileCommitted, uids[0]), eventText(protocol.EventFileCommitted, uids[1])})
		e.ok(e.db.Delivered(e.ctx, due[1]))
		e.same("b arrived", e.dueText(w), []string{eventText(protocol.EventFileCommitted, uids[0])})
		e.fails(e.ctx, due[0], meta.DeliveryFailure{Error: "oh", After: time.Minute, Rest: never})
		e.same("a failed", len(e.dueFor(w)), 0)
		e.clock.Add(time.Minute)
		due = e.dueFor(w)
		e.same("a again", []any{e.dueText(w), due[0].Attempts}, []any{[]string{eventText(protocol.EventFileCommitted, uids[0])}, 1})
		e.ok(e.db.Delivered(e.ctx, due[0]))
		e.same("then its deletion", e.dueText(w), []string{eventText(protocol.EventFileDeleted, uids[0])})
		got := e.readHook(w.ID)
		e.same("webhook", []any{got.Pending, got.Dead, got.Delivered, *got.DeliveredAt, got.Error}, []any{1, 0, 2, e.clock.Now(), "oh"})
	},
	"a dead one lets the next go on, and comes back": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		uids := e.share("a")
		e.ok(e.db.DeleteFile(e.ctx, alice, uids[0]))
		e.fanOut()
		committed, deleted := []string{eventText(protocol.EventFileCommitted, uids[0])}, []string{eventText(protocol.EventFileDeleted, uids[0])}
		first := e.dueFor(w)[0]
		for range 2 { // the second says nothing new
			e.fails(e.ctx, first, meta.DeliveryFailure{Error: "gone", Dead: true, Rest: never})
		}
		got := e.readHook(w.ID)
		e.same("webhook", []any{got.Pending, got.Dead, got.Error}, []any{1, 1, "gone"})
		e.same("the next", e.dueText(w), deleted)
		n, err := e.db.ReplayDeliveries(e.ctx, bob, w.ID, 10)
		e.kind(err, protocol.KindNotFound)
		e.same("another's", n, 0)
		n, err = e.db.ReplayDeliveries(e.ctx, alice, w.ID, 10)
		e.ok(err)
		e.same("replayed", n, 1)
		due := e.dueFor(w)
		e.same("it goes before the other", []any{e.dueText(w), due[0].Attempts}, []any{committed, 0})
		e.same("the same text", string(due[0].Body), string(first.Body))
		n, err = e.db.ReplayDeliveries(e.ctx, alice, w.ID, 10)
		e.ok(err)
		e.same("none is dead", n, 0)
	},
	"dead ones are forgotten": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		e.share("a", "b", "c")
		e.fanOut()
		for _, d := range e.dueFor(w)[:2] {
			e.fails(e.ctx, d, meta.DeliveryFailure{Dead: true, Rest: never})
			e.clock.Add(time.Minute)
		}
		n, err := e.db.PruneWebhooks(e.ctx, time.Time{}, e.clock.Now().Add(-2*time.Minute), 10)
		e.ok(err)
		got := e.readHook(w.ID)
		e.same("pruned", []any{n, got.Pending, got.Dead}, []any{1, 1, 1})
		n, err = e.db.PruneWebhooks(e.ctx, e.clock.Now().Add(-2*time.Minute), time.Time{}, 10)
		e.ok(err)
		got = e.readHook(w.ID)
		e.same("given up", []any{n, got.Pending, got.Dead}, []any{1, 0, 2})
		_, err = e.db.ReplayDeliveries(e.ctx, alice, w.ID, 10)
		e.ok(err)
		n, err = e.db.PruneWebhooks(e.ctx, e.clock.Now().Add(-2*time.Minute), time.Time{}, 10)
		e.ok(err)
		e.same("what was replayed waits anew", n, 0)
	},
	"too many failures in a row rest it": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		e.share("a", "b", "c", "d")
		e.fanOut()
		rest := func(failures int) time.Duration { return time.Duration(failures/3) * time.Minute }
		due := e.dueFor(w)
		for i, left := range []int{3, 2, 0} {
			e.same("rests", e.fails(e.ctx, due[i], meta.DeliveryFailure{After: time.Hour, Rest: rest}), left == 0)
			e.same(fmt.Sprint("due after failure ", i+1), len(e.dueFor(w)), left)
		}
		e.same("until", *e.readHook(w.ID).RetryAt, e.clock.Now().Add(time.Minute))
		e.clock.Add(time.Minute)
		e.same("over", len(e.dueFor(w)), 1)
		e.fails(e.ctx, due[3], meta.DeliveryFailure{After: time.Second, Rest: rest})
		e.clock.Add(-2 * meta.MaxEventPause)
		e.same("a rest that a wrong clock wrote", e.readHook(w.ID).RetryAt, nil)
		e.clock.Add(2*meta.MaxEventPause + time.Minute)
		e.ok(e.db.Delivered(e.ctx, due[3]))
		e.fails(e.ctx, due[0], meta.DeliveryFailure{Rest: rest})
		e.same("what arrives ends the row", e.readHook(w.ID).RetryAt, nil)
	},
	"a clock that was ahead holds none up": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		e.clock.Add(1000 * time.Hour)
		e.share("a")
		e.fanOut()
		e.fails(e.ctx, e.dueFor(w)[0], meta.DeliveryFailure{After: time.Hour, Rest: never})
		e.clock.Add(-1000 * time.Hour)
		_, err := e.db.RestartTimers(e.ctx, 10)
		e.ok(err)
		e.ok(e.db.NotifyLater(e.ctx, w.ID))
		e.same("due", []any{len(e.dueFor(w)), e.dueFor(w)[0].Since}, []any{1, e.clock.Now()})
	},
	"they have themselves sent": func(e *env) {
		e.ok(e.db.RegisterConsumer(e.ctx, meta.FanOutConsumer))
		w := e.hook(alice)
		jobIn := func(what string, want ...time.Duration) {
			e.Helper()
			lines, err := e.db.JobLines(e.ctx, meta.JobHolder{}, []protocol.JobKind{protocol.JobNotify})
			e.ok(err)
			var got []time.Duration
			for _, l := range lines {
				got = append(got, l.DueIn)
			}
			e.same(what, got, want)
		}
		e.fanOut()
		jobIn("nothing to send")
		e.share("a", "b")
		e.fanOut()
		jobIn("two to send", 0)
		job := e.leaseOf(protocol.JobNotify)
		e.same("job", []any{job.Owner, string(job.Args)}, []any{alice, `{"webhook":"` + w.ID.String() + `"}`})
		fenced := meta.Fenced(e.ctx, job.Lease)
		due := e.dueFor(w)
		e.fails(fenced, due[0], meta.DeliveryFailure{After: 10 * time.Minute, Rest: never})
		e.fails(fenced, due[1], meta.DeliveryFailure{After: 5 * time.Minute, Rest: never})
		e.ok(e.db.NotifyLater(fenced, w.ID))
		e.ok(e.db.EndJob(e.ctx, job.Lease, meta.JobOutcome{}))
		jobIn("the first of them", 5*time.Minute)
		e.share("c") // what is new does not wait for what failed
		e.fanOut()
		jobIn("a new one", 0)
		lines, err := e.db.JobLines(e.ctx, meta.JobHolder{}, []protocol.JobKind{protocol.JobNotify})
		e.ok(err)
		jobs, err := e.db.LeaseJobs(e.ctx, meta.JobHolder{Name: "h"}, lines[0], time.Minute, 1)
		e.ok(err)
		e.end(jobs[0], meta.ResultCancelled)
		jobIn("it was cancelled")
		e.ok(e.db.NotifyWaiting(e.ctx))
		jobIn("found again", 0)
		job = e.leaseOf(protocol.JobNotify)
		for _, d := range append(due, e.dueFor(w)...) {
			e.ok(e.db.Delivered(e.ctx, d))
		}
		e.ok(e.db.NotifyLater(e.ctx, w.ID))
		e.ok(e.db.EndJob(e.ctx, job.Lease, meta.JobOutcome{}))
		jobIn("none is left")
		e.lost(e.db.Delivered(meta.Fenced(e.ctx, job.Lease), due[0])) // a late word
	},
}
