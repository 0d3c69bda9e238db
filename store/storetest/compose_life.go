package storetest

import (
	"sync"

	"github.com/osproxy/osproxy/store"
)

// composeAgain: what has succeeded succeeds again, as after a crash that lost
// the answer.
func composeAgain(t T, b composing) {
	s := sourceOf(t, b, 60, 5*mib+70_000)
	pieces := []pieceOf{s.from(0, 5*mib), s.from(3, 60_000)}
	key, id := begin(t, b)
	for range 3 {
		wantComposed(t, b, key, id, pieces...)
	}
	abandon(t, b, key, id)
	wantComposed(t, b, key, id, pieces...)
	wantUnfinished(t, b)
}

// composeAfterFailure: a composition outlives attempts that fail.
func composeAfterFailure(t T, b composing) {
	big, late := sourceOf(t, b, 61, 5*mib), source{store.NewKey(dir), bytesOf(62, 100_000)}
	pieces := []pieceOf{big.all(), late.all(), big.from(0, 9)}
	list, _ := joined(pieces...)
	key, id := begin(t, b)
	for range 2 {
		_, err := b.Compose(t.Context(), key, id, list)
		wantErr(t, "compose of an absent source", err, store.ErrNotFound)
		wantAbsent(t, b, key)
	}
	wantUnfinished(t, b, store.Unfinished{Key: key, ID: id})
	putAt(t, b, late.key, late.data)
	wantComposed(t, b, key, id, pieces...)
	wantUnfinished(t, b)
}

func composeNotBegun(t T, b composing) {
	s := sourceOf(t, b, 63, 1000)
	pieces, _ := joined(s.all())
	key, id := begin(t, b)
	abandon(t, b, key, id)
	for _, c := range []struct {
		what string
		key  store.Key
		id   store.ComposeID
	}{
		{"compose of an abandoned composition", key, id},
		{"compose of another key's composition", store.NewKey(dir), id},
		{"compose of a composition that never was", key, "0123456789abcdef0123456789abcdef"},
	} {
		_, err := b.Compose(t.Context(), c.key, c.id, pieces)
		wantErr(t, c.what, err, store.ErrNotBegun)
		wantAbsent(t, b, c.key)
	}
}

func composeTwice(t T, b composing) {
	s := sourceOf(t, b, 64, 5*mib+1000)
	orders := [][]pieceOf{
		{s.from(0, 5*mib), s.from(100, 900)},
		{s.from(500, 5*mib), s.from(0, 1)},
	}
	var wg sync.WaitGroup
	for _, pieces := range orders {
		key, id := begin(t, b)
		wg.Go(func() { wantComposed(t, b, key, id, pieces...) })
	}
	wg.Wait()
	// Begun twice, as when the first answer was lost: the one that is known is
	// finished, the other swept.
	key, lost := begin(t, b)
	id := beginAt(t, b, key)
	if id == lost {
		t.Errorf("two compositions have the id %q", id)
	}
	wantComposed(t, b, key, id, orders[0]...)
	abandon(t, b, key, lost)
	_, data := joined(orders[0]...)
	wantBytes(t, b, key, data)
	wantUnfinished(t, b)
}

func composeAbandon(t T, b composing) {
	s := sourceOf(t, b, 65, 1000)
	key, id := begin(t, b)
	abandon(t, b, key, "0123456789abcdef0123456789abcdef")
	wantUnfinished(t, b, store.Unfinished{Key: key, ID: id})
	for range 2 {
		abandon(t, b, key, id)
		wantAbsent(t, b, key)
		wantUnfinished(t, b)
	}
	id = beginAt(t, b, key)
	wantComposed(t, b, key, id, s.all())
	for range 2 {
		abandon(t, b, key, id)
		wantBytes(t, b, key, s.data)
	}
}

func composeUnfinished(t T, b composing) {
	s := sourceOf(t, b, 66, 1000)
	wantUnfinished(t, b)
	open := make([]store.Unfinished, 4)
	for i := range open {
		open[i].Key, open[i].ID = begin(t, b)
	}
	wantUnfinished(t, b, open...)
	for u, err := range b.Unfinished(t.Context()) {
		if err != nil || u.ID == "" {
			t.Errorf("first of the unfinished: %+v, %v", u, err)
		}
		break
	}
	wantKeys(t, "list beside unfinished compositions", list(t, b, "", ""), []store.Key{s.key})
	abandon(t, b, open[0].Key, open[0].ID)
	wantComposed(t, b, open[2].Key, open[2].ID, s.from(0, 500), s.all())
	wantUnfinished(t, b, open[1], open[3])
	abandon(t, b, open[1].Key, open[1].ID)
	abandon(t, b, open[3].Key, open[3].ID)
	wantUnfinished(t, b)
}
