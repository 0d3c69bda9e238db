package metatest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// number gives all events their numbers.
func (e *env) number() {
	e.Helper()
	for more := true; more; {
		var err error
		_, more, err = e.db.NumberEvents(e.ctx)
		e.ok(err)
	}
}

// eventsAfter numbers all events and gives those after the number.
func (e *env) eventsAfter(number int64) (list []meta.Event) {
	e.Helper()
	e.number()
	for {
		page, err := e.db.Events(e.ctx, number, 100)
		e.ok(err)
		if list = append(list, page...); len(page) == 0 {
			return list
		}
		number = page[len(page)-1].Number
	}
}

// lastEvent numbers all events and gives the last number.
func (e *env) lastEvent() int64 {
	e.Helper()
	e.number()
	waiting, last, err := e.db.EventState(e.ctx)
	e.ok(err)
	e.same("events without a number", waiting, false)
	return last
}

func eventText(kind protocol.EventKind, uid protocol.UID) string {
	return fmt.Sprintf("%s:%s", uid, kind)
}

// eventsText is which events of which file there are, whatever order files
// have; those of one file keep theirs.
func eventsText(events []meta.Event) string {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b meta.Event) int { return strings.Compare(a.UID.String(), b.UID.String()) })
	words := make([]string, len(events))
	for i, ev := range events {
		words[i] = eventText(ev.Kind, ev.UID)
	}
	return strings.Join(words, " ")
}

// kinds are those of the events since the number, in order.
func (e *env) kinds(number int64) (kinds []protocol.EventKind) {
	e.Helper()
	for _, ev := range e.eventsAfter(number) {
		kinds = append(kinds, ev.Kind)
	}
	return kinds
}

// share makes files of the names given on one content.
func (e *env) share(names ...string) (uids []protocol.UID) {
	e.Helper()
	for _, name := range names {
		f, err := e.db.PutFile(e.ctx, e.oneShot(name, 1, 5), nil)
		e.ok(err)
		uids = append(uids, f.UID)
	}
	return uids
}

// damageOf marks the content of a file damaged.
func (e *env) damageOf(uid protocol.UID) {
	e.Helper()
	_, c, err := e.db.Content(e.ctx, alice, uid)
	e.ok(err)
	e.ok(e.db.MarkDamaged(e.ctx, c.ID, c.Gen))
}

var eventTests = map[string]func(*env){
	"what an event says": func(e *env) {
		n, media := e.oneShot("folder/a", 1, 5), "text/plain"
		n.MediaType = &media
		f, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		e.clock.Add(time.Second)
		name := "renamed"
		_, err = e.db.PatchFile(e.ctx, alice, f.UID, meta.FilePatch{Name: &name})
		e.ok(err)
		e.ok(e.db.DeleteFile(e.ctx, alice, f.UID))
		list := e.eventsAfter(0)
		e.same("events", len(list), 2)
		for i, want := range []struct {
			kind protocol.EventKind
			name string
			at   time.Time
		}{{protocol.EventFileCommitted, "folder/a", NewClock().Now()}, {protocol.EventFileDeleted, "renamed", e.clock.Now()}} {
			got := list[i]
			e.same("event", []any{got.Number, got.Kind, got.At, got.Owner, got.UID, *got.Name, *got.MediaType, *got.Size, *got.Digest, got.Reason, got.Job},
				[]any{i + 1, want.kind, want.at, alice, f.UID, want.name, media, 5, n.Digest, nil, nil})
		}
	},
	"every way to commit": func(e *env) {
		first, _ := e.put("committed", 1, claimSize)
		shot, err := e.db.PutFile(e.ctx, e.oneShot("put", 2, 5), nil)
		e.ok(err)
		u := e.maybe(alice, "claimed")
		_, c, err := e.db.Content(e.ctx, alice, first.UID)
		e.ok(err)
		_, err = e.claim(alice, u.UID, c, 1, meta.ScopeOwner)
		e.ok(err)
		e.same("events", eventsText(e.eventsAfter(0)), strings.Join([]string{eventText(protocol.EventFileCommitted, first.UID),
			eventText(protocol.EventFileCommitted, shot.UID), eventText(protocol.EventFileCommitted, u.UID)}, " "))
	},
	"what failed made none": func(e *env) {
		n := e.oneShot("x", 1, 5)
		_, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		n.UID = e.uid()
		_, err = e.db.PutFile(e.ctx, n, nil) // the key is in use
		e.kind(err, protocol.KindInternal)
		e.kind(e.db.DeleteFile(e.ctx, bob, n.UID), protocol.KindNotFound)
		e.same("events", e.kinds(0), []protocol.EventKind{protocol.EventFileCommitted})
	},
	"what nobody asked for": func(e *env) {
		expires := e.clock.Now().Add(time.Second)
		n := e.oneShot("expires", 1, 5)
		n.ExpiresAt = &expires
		_, err := e.db.PutFile(e.ctx, n, nil)
		e.ok(err)
		late := e.newUpload("late")
		late.ExpiresAt = &expires
		e.begin(late)
		e.begin(e.newUpload("idle"))
		aborted := e.begin(e.newUpload("aborted"))
		e.ok(e.db.AbortUpload(e.ctx, alice, aborted.UID))
		since := e.lastEvent()
		e.clock.Add(time.Second)
		_, err = e.db.ExpireFiles(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		_, err = e.db.AbandonUploads(e.ctx, e.clock.Now(), 10)
		e.ok(err)
		var got []string
		for _, ev := range e.eventsAfter(since) {
			reason := "none"
			if ev.Reason != nil {
				reason = *ev.Reason
			}
			got = append(got, fmt.Sprintf("%s %s %s %v", ev.Kind, *ev.Name, reason, ev.Size != nil))
		}
		e.same("events", got, []string{"file.expired expires none true", "upload.abandoned late expired false", "upload.abandoned idle idle false"})
	},
	"every file of a content is told of": func(e *env) {
		uids := e.share("a", "b", "c")
		e.ok(e.db.DeleteFile(e.ctx, alice, uids[1]))
		since := e.lastEvent()
		for range 2 { // it is damaged once
			e.damageOf(uids[0])
		}
		e.same("damage", eventsText(e.eventsAfter(since)), eventText(protocol.EventContentCorrupt, uids[0])+" "+eventText(protocol.EventContentCorrupt, uids[2]))
		since = e.lastEvent()
		fresh := e.share("fresh")
		e.same("healed", eventsText(e.eventsAfter(since)), strings.Join([]string{eventText(protocol.EventContentHealed, uids[0]),
			eventText(protocol.EventContentHealed, uids[2]), eventText(protocol.EventFileCommitted, fresh[0])}, " "))
		since = e.lastEvent()
		e.share("again")
		e.same("nothing to heal", e.kinds(since), []protocol.EventKind{protocol.EventFileCommitted})
	},
	"a dead job is told of": func(e *env) {
		enqueue := func(kind protocol.JobKind, args any) {
			e.Helper()
			b, err := json.Marshal(args)
			e.ok(err)
			_, _, err = e.db.Enqueue(e.ctx, meta.NewJob{Kind: kind, Owner: bob, Args: b, MaxAttempts: 1})
			e.ok(err)
			e.ok(e.db.EndJob(e.ctx, e.leaseOf(kind).Lease, meta.JobOutcome{Result: meta.ResultFailed, Error: "broken"}))
		}
		enqueue("k", struct{}{})
		list := e.eventsAfter(0)
		e.same("events", len(list), 1)
		e.same("event", []any{list[0].Kind, list[0].Owner, list[0].UID, *list[0].Job},
			[]any{protocol.EventJobDead, bob, 0, protocol.EventJob{ID: list[0].Job.ID, Kind: "k", Attempts: 1, Error: "broken"}})
		enqueue(protocol.JobEvent, meta.ParkedEvent{Consumer: "c", Event: protocol.Event{Type: protocol.EventFileDeleted}})
		e.same("of a parked event", e.kinds(1), []protocol.EventKind{protocol.EventJobDead})
		// What would go on for ever.
		enqueue(protocol.JobEvent, meta.ParkedEvent{Consumer: "c", Event: list[0].Message()})
		enqueue(protocol.JobNotify, struct{}{})
		e.same("of what tells", len(e.kinds(2)), 0)
	},
	"there is word of them": func(e *env) {
		word := func() bool {
			select {
			case <-e.db.Emitted():
				return true
			default:
				return false
			}
		}
		e.begin(e.newUpload("x"))
		e.same("of a begin", word(), false)
		uids := e.share("a", "b")
		e.same("of puts", word(), true)
		e.same("once", word(), false)
		e.kind(e.db.DeleteFile(e.ctx, bob, uids[0]), protocol.KindNotFound)
		e.same("of what failed", word(), false)
		e.ok(e.db.DeleteFile(e.ctx, alice, uids[0]))
		e.same("of a deletion", word(), true)
	},
}
