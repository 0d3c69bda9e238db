package metatest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Watched is a database that tells how far its operations are.
type Watched struct {
	*meta.DB
	// Waiting is how many operations wait for others to end.
	Waiting func() int
	// InTurn says that an operation that writes begins only when the one
	// before it has ended.
	InTurn bool
	// Keep notes all that the database holds, and gives what brings it back: a
	// faster way than to set a stage anew. Nil where there is none.
	Keep func() (back func())
}

// OpenWatched opens an empty database with the clock. It calls at before each
// statement of an operation, and after the last, with the context of the
// operation's caller; the operation goes on when at returns.
type OpenWatched func(t testing.TB, clock func() time.Time, at func(ctx context.Context)) Watched

// Interleave holds operations between any two of their statements while others
// run. Whatever they do to each other must be what they do in some order, and
// what reads must see the state before or the state after, whole.
func Interleave(t *testing.T, open OpenWatched) {
	for _, p := range slices.Concat(jobPairs, []pair{
		{claims, deletes}, {startsClaim, deletes}, {claims, sweeps}, {deletes, sweeps},
		{commits, sweeps}, {commits, deletes}, {commits, claims},
		{records, abandons}, {records, expires},
		{commits, puts}, {deletes, puts}, {records, commits}, {records, givesUp}, {claims, expires},
		// Beyond its locks a fill is what a commit is; that has its pairs above.
		{moves, deletes}, {moves, sweeps}, {moves, puts}, {moves, claims}, {moves, fills}, {moves, moves}, {moves, dropsTarget},
		{fills, deletes}, {fills, deletesUnknown}, {fills, commits}, {finds, deletes}, {finds, fills}, {finds, adopts},
	}) {
		t.Run(p.first.name+" and "+p.second.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, t, open)
			defer s.end()
			p.check(s)
			pair{p.second, p.first}.check(s)
		})
	}
	// Whoever lets go of a blob that the sweep is to look at anyway has it look
	// again, however much of that it saw. (A commit lets go of several, of which
	// one may be doomed before the others, in no order.)
	for _, lets := range []action{moves, puts, deletes} {
		t.Run(lets.name+" and sweep of a blob that was shared", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, t, open)
			s.shared = true
			defer s.end()
			pair{lets, sweeps}.check(s)
			pair{sweeps, lets}.check(s)
		})
	}
	// Whoever has a content of an MD5 has it until nobody does.
	for _, other := range []action{deletes, damages, sweeps, moves, puts, fills, adopts} {
		t.Run(other.name+" and adopt of a content that is known", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, t, open)
			s.known = true
			defer s.end()
			pair{other, adopts}.check(s)
			pair{adopts, other}.check(s)
			if other.name == deletes.name {
				look{seesHeld, []action{deletes, damages}}.check(s)
			}
		})
	}
	for _, l := range []look{
		{seesUpload, []action{commits, claims, abandons}},
		{seesParts, []action{commits, records, abandons}},
		{seesContent, []action{commits, deletes, finds, fills, moves}},
		{seesContentAgain, []action{commits, deletes}},
		{seesExtents, []action{commits, deletes, moves}},
		{seesBlocks, []action{deletes}},
		{seesClaim, []action{claims}},
		{seesBlobs, []action{commits, deletes}},
		{seesContents, []action{commits, deletes, fills}},
	} {
		t.Run(l.view.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, t, open)
			defer s.end()
			l.check(s)
		})
	}
	t.Run("jobs", func(t *testing.T) { interleaveJobs(t, open) })
	t.Run("events are numbered after their commit", func(t *testing.T) { numbersLate(t, open) })
	t.Run("notices", func(t *testing.T) { noticesTorn(t, open) })
}

// noticesTorn has the checks run on what is torn in two operations, which they
// must notice: else they prove nothing.
func noticesTorn(t *testing.T, open OpenWatched) {
	var inTurn bool
	said := func(check func(*stage)) string {
		return Noticed(t, func(found rapid.TB) {
			s := newStage(t, found, open)
			defer s.end()
			inTurn = s.watched.InTurn
			check(s)
		})
	}
	for name, c := range map[string]struct {
		check  func(*stage)
		notice string
	}{
		"two changes in no order":    {pair{renames("a", true), renames("b", false)}.check, "in no order"},
		"a change that is half done": {pair{renames("a", true), sweeps}.check, "half done"},
		"a view of two states":       {look{seesTwice, []action{deletes}}.check, "saw"},
	} {
		if text := said(c.check); !strings.Contains(text, c.notice) {
			t.Errorf("%s: it said %q", name, text)
		}
	}
	// A view lets others change what it sees, which is not in turn.
	if text := said(pair{seesContent, deletes}.check); (text != "") != inTurn {
		t.Errorf("a change out of turn: it said %q", text)
	}
}

// pair are two actions on one stage.
type pair struct{ first, second action }

// orders are what a pair ends with, one after the other, and begins with.
type orders struct{ forth, back, before string }

// check holds first at each of its points, and second at each that it comes to
// meanwhile. What they do must be what they do one after the other.
func (p pair) check(s *stage) {
	var o orders
	o.before, o.forth = p.inOrder(s, false)
	_, o.back = p.inOrder(s, true)
	for k := 1; ; k++ {
		came, passed := p.interleave(s, k, 0, o)
		if !came {
			if k < 3 {
				s.Fatalf("%s ran no statements", p.first.name)
			}
			return
		}
		for j := 1; j <= passed; j++ {
			p.interleave(s, k, j, o)
		}
	}
}

// inOrder runs one after the other; back is second before first.
func (p pair) inOrder(s *stage, back bool) (before, outcome string) {
	s.play(func() {
		before = s.snapshot()
		var first, second string
		if back {
			second = s.whole(p.second)
		}
		first = s.whole(p.first)
		if !back {
			second = s.whole(p.second)
		}
		outcome = s.outcome(first, second)
	})
	return before, outcome
}

// interleave runs first up to its point k, then second up to its point j, or
// as far as they come, then the rest of both. It reports whether first has
// that many points, and how many second passed while first was held.
func (p pair) interleave(s *stage, k, j int, o orders) (came bool, passed int) {
	play := s.play
	if j > 0 {
		play = s.replay
	}
	play(func() {
		first := s.start(p.first, k)
		if came = first.arrives(); !came {
			return
		}
		if j == 0 {
			p.unseen(s, k, o.before)
		}
		second := s.start(p.second, j)
		s.await(second)
		if passed = second.points(); s.watched.InTurn && (passed > 0 || happened(second.ended)) {
			s.Fatalf("%s came to %d points while %s was held at its point %d", p.second.name, passed, p.first.name, k)
		}
		first.release()
		if happened(second.held) {
			s.await(first)
			second.release()
		}
		<-first.ended
		<-second.ended
		if got := s.outcome(first.answer, second.answer); got != o.forth && (s.watched.InTurn || got != o.back) {
			s.Fatalf("%s at its point %d and %s at its point %d do what they do in no order:\n%s\none order gives\n%s\nthe other\n%s",
				p.first.name, k, p.second.name, j, got, o.forth, o.back)
		}
	})
	return came, passed
}

// unseen: others see nothing of first while it is held.
func (p pair) unseen(s *stage, k int, before string) {
	if now := s.snapshot(); now != before {
		s.Fatalf("while %s is held at its point %d, others see it half done:\n%s\nbefore it was\n%s", p.first.name, k, now, before)
	}
}

// look is a view of a stage, and what changes it.
type look struct {
	view    action
	changes []action
}

// check holds the view at each of its points while a change runs whole.
func (l look) check(s *stage) {
	for _, change := range l.changes {
		var before, after string
		s.play(func() { before = s.whole(l.view) })
		s.play(func() { s.whole(change); after = s.whole(l.view) })
		if before == after {
			s.Fatalf("%s changes nothing of %s:\n%s", change.name, l.view.name, before)
		}
		for k := 1; ; k++ {
			saw, came := l.at(s, change, k)
			if !came && k < 3 {
				s.Fatalf("%s ran no statements", l.view.name)
			}
			if !came {
				break
			}
			if saw != before && saw != after {
				s.Fatalf("%s, held at its point %d while %s ran, saw\n%s\nbefore it was\n%s\nafter it\n%s",
					l.view.name, k, change.name, saw, before, after)
			}
		}
	}
}

// at is what the view shows where the change comes while it is held at point
// k, and whether it has that many.
func (l look) at(s *stage, change action, k int) (saw string, came bool) {
	s.play(func() {
		view := s.start(l.view, k)
		if came = view.arrives(); came {
			s.whole(change)
			view.release()
		}
		<-view.ended
		saw = view.answer
	})
	return saw, came
}
