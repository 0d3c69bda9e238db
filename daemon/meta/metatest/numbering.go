package metatest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

var numberingTests = map[string]func(*env){
	"an event has a number once": func(e *env) {
		waiting, last, err := e.db.EventState(e.ctx)
		e.ok(err)
		e.same("at first", []any{waiting, last}, []any{false, 0})
		e.share("a", "b", "c")
		waiting, last, err = e.db.EventState(e.ctx)
		e.ok(err)
		e.same("put", []any{waiting, last}, []any{true, 0})
		none, err := e.db.Events(e.ctx, 0, 10)
		e.ok(err)
		e.same("without a number", len(none), 0)
		e.same("last", e.lastEvent(), 3)
		e.same("again", e.lastEvent(), 3)
		page, err := e.db.Events(e.ctx, 1, 1)
		e.ok(err)
		e.same("page", []any{len(page), page[0].Number, *page[0].Name}, []any{1, 2, "b"})
	},
	"numbers go on": func(e *env) {
		e.share("a", "b")
		e.lastEvent()
		e.clock.Add(time.Second)
		e.prune(time.Second, 10, 2)
		e.share("c")
		e.same("numbers", e.numbersLeft(), []int64{3})
	},
	"many at a time": func(e *env) {
		const files = 1203
		for i := range files {
			e.share(fmt.Sprint("f", i))
		}
		var calls []int64
		for more := true; more; {
			var n int64
			var err error
			n, more, err = e.db.NumberEvents(e.ctx)
			e.ok(err)
			calls = append(calls, n)
		}
		e.same("calls", calls, []int64{500, 500, 203})
		e.same("last", e.lastEvent(), files)
		uid := e.uids // the last
		// More files than one transaction makes events for. What comes after
		// them, comes after all of them.
		e.damageOf(uid)
		e.ok(e.db.DeleteFile(e.ctx, alice, uid))
		e.clock.Add(time.Second)
		fresh := e.share("fresh")
		got := e.eventsAfter(files)
		e.same("events", len(got), 2*files)
		for i, ev := range got {
			e.same("number", ev.Number, int64(files+1+i))
		}
		var of = map[protocol.UID][]protocol.EventKind{}
		for _, ev := range got {
			of[ev.UID] = append(of[ev.UID], ev.Kind)
		}
		e.same("of the fresh file", of[fresh[0]], []protocol.EventKind{protocol.EventFileCommitted})
		delete(of, fresh[0])
		for uid, kinds := range of {
			want := []protocol.EventKind{protocol.EventContentCorrupt, protocol.EventContentHealed}
			if uid == e.uids-1 { // deleted before its turn came
				want = []protocol.EventKind{protocol.EventFileDeleted}
			}
			e.same("events of a file", kinds, want)
		}
	},
	"a reader misses none while others write": func(e *env) {
		const writers, each = 4, 20
		uids := make(chan protocol.UID, writers*each)
		var wg sync.WaitGroup
		for w := range writers {
			var files []meta.NewFile
			for i := range each {
				files = append(files, e.oneShot(fmt.Sprint(w, " ", i), byte(w), 5))
			}
			wg.Go(func() {
				for _, n := range files {
					if _, err := e.db.PutFile(e.ctx, n, nil); err != nil {
						e.Error(err)
						return
					}
					uids <- n.UID
				}
			})
		}
		go func() { wg.Wait(); close(uids) }()
		seen := map[protocol.UID]int{}
		last, open := int64(0), true
		for open {
			_, open = <-uids // the last look comes when all have ended
			for _, ev := range e.eventsAfter(last) {
				e.same("number", ev.Number, last+1)
				seen[ev.UID]++
				last = ev.Number
			}
		}
		e.same("files seen", []int{len(seen), int(last)}, []int{writers * each, writers * each})
	},
	"old events are pruned": func(e *env) {
		e.share("a", "b", "c")
		e.lastEvent()
		e.clock.Add(time.Hour)
		e.share("d")
		e.lastEvent()
		e.prune(2*time.Hour, 10, 0)
		e.prune(time.Hour, 2, 2)
		e.same("left", e.numbersLeft(), []int64{3, 4})
		e.prune(time.Hour, 2, 1)
		e.same("left", e.numbersLeft(), []int64{4})
	},
	"a clock that was ahead keeps none for ever": func(e *env) {
		e.clock.Add(1000 * time.Hour)
		e.share("a")
		e.lastEvent()
		e.clock.Add(-1000 * time.Hour)
		_, err := e.db.RestartTimers(e.ctx, 10)
		e.ok(err)
		e.clock.Add(time.Hour)
		e.prune(time.Hour, 10, 1)
	},
	"what a consumer has not handled stays longer": func(e *env) {
		const keep = 48 * time.Hour
		e.ok(e.db.RegisterConsumer(e.ctx, "slow"))
		e.ok(e.db.RegisterConsumer(e.ctx, "gone"))
		e.share("a", "b", "c")
		e.lastEvent()
		e.take("slow", 1)
		e.ok(e.db.SettleEvents(e.ctx, "slow", "me", 1))
		e.clock.Add(keep)
		e.ok(e.db.RegisterConsumer(e.ctx, "slow"))
		e.prune(keep, 10, 1) // gone was not seen for a day
		e.same("left", e.numbersLeft(), []int64{2, 3})
		e.clock.Add(3*keep - time.Millisecond)
		e.ok(e.db.RegisterConsumer(e.ctx, "slow"))
		e.prune(keep, 10, 0)
		e.clock.Add(time.Millisecond)
		e.prune(keep, 10, 2)
		e.share("d")
		e.lastEvent()
		b := e.take("slow", 10)
		e.same("lost", []any{b.Lost, len(b.Events), b.Events[0].Number}, []any{2, 1, 4})
		b = e.take("slow", 10)
		e.same("told once", []any{b.Lost, len(b.Events)}, []any{0, 1})
		_, err := e.db.TakeEvents(e.ctx, "gone", "me", time.Minute, 10)
		e.kind(err, protocol.KindInternal) // it is forgotten
	},
}

func (e *env) prune(keep time.Duration, limit, want int) {
	e.Helper()
	n, err := e.db.PruneEvents(e.ctx, e.clock.Now(), keep, limit)
	e.ok(err)
	e.same("pruned", n, want)
}

func (e *env) numbersLeft() (list []int64) {
	e.Helper()
	for _, ev := range e.eventsAfter(0) {
		list = append(list, ev.Number)
	}
	return list
}

// numbersLate holds a transaction open that has made its event, while another
// makes its own, which is numbered and read: it is about other content of
// another owner, and so waits for no row of the first. Where changes come in
// turn it waits, and so does the numbering.
func numbersLate(t *testing.T, open OpenWatched) {
	s := newStage(t, t, open)
	defer s.end()
	points := 0
	s.play(func() {
		s.whole(puts)
		points = s.actors[0].points()
	})
	s.ready()
	held := s.start(puts, points)
	if !held.arrives() {
		t.Fatal("the put ended, it is not held")
	}
	other := s.oneShot("other", 9, claimSize)
	other.Owner = bob
	putsOther := s.start(action{"put another", func(ctx context.Context, s *stage) (string, error) {
		f, err := s.db.PutFile(ctx, other, nil)
		return fileText(f), err
	}}, 0)
	s.await(putsOther)
	var seen []meta.Event
	if !s.watched.InTurn {
		seen = s.eventsAfter(s.since)
		if text := eventsText(seen); text != eventText(protocol.EventFileCommitted, other.UID) {
			t.Fatalf("while the put is held: %q", text)
		}
	}
	held.release()
	<-held.ended
	<-putsOther.ended
	last := s.since
	if len(seen) > 0 {
		last = seen[len(seen)-1].Number
	}
	seen = append(seen, s.eventsAfter(last)...)
	var all []string
	for i, ev := range seen {
		s.same("number", ev.Number, s.since+1+int64(i))
		all = append(all, eventText(ev.Kind, ev.UID))
	}
	slices.Sort(all)
	want := []string{eventText(protocol.EventFileCommitted, other.UID), eventText(protocol.EventFileCommitted, s.shot.UID)}
	slices.Sort(want)
	s.same("events", strings.Join(all, " "), strings.Join(want, " "))
}
