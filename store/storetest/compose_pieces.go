package storetest

import (
	"slices"

	"github.com/osproxy/osproxy/store"
)

func composeOne(t T, b composing) {
	s := sourceOf(t, b, 40, large+mib)
	for _, p := range []pieceOf{s.all(), s.from(0, 1), s.from(len(s.data)-1, 1), s.from(77, 100_000), s.from(mib-1, large)} {
		key, id := begin(t, b)
		wantAbsent(t, b, key)
		wantComposed(t, b, key, id, p)
	}
	wantBytes(t, b, s.key, s.data)
	wantUnfinished(t, b)
}

// composeSmall: all of them are below what any storage copies.
func composeSmall(t T, b composing) {
	var pieces []pieceOf
	for i := range 25 {
		pieces = append(pieces, sourceOf(t, b, uint64(50+i), 1+i*i*100).all())
	}
	key, id := begin(t, b)
	wantComposed(t, b, key, id, pieces...)
	wantKeys(t, "list", list(t, b, "", ""), inOrder(key, pieces))
}

// inOrder are the keys of a composed object and of its pieces.
func inOrder(key store.Key, pieces []pieceOf) []store.Key {
	keys := []store.Key{key}
	for _, p := range pieces {
		keys = append(keys, p.key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// composeMixed: storages copy nothing below a least length (100 KiB, 1 MiB or
// 5 MiB), but for the last piece. Each length beside such a limit comes before,
// between and after longer ones.
func composeMixed(t T, b composing) {
	big, small := sourceOf(t, b, 80, 6*mib), sourceOf(t, b, 81, 300_000)
	for _, pieces := range [][]pieceOf{
		{small.from(0, 1), big.from(0, 5*mib), small.from(1, 2), big.from(mib, 5*mib-1), small.from(3, 100<<10), small.all()},
		{big.all(), big.from(1, 100<<10-1), big.from(3, 5*mib), small.from(200_000, 1)},
		{big.from(5, mib), big.from(mib, mib-1), big.from(3*mib, mib+1), big.from(0, 5*mib+1), big.from(0, 5*mib-1)},
	} {
		key, id := begin(t, b)
		wantComposed(t, b, key, id, pieces...)
	}
	wantUnfinished(t, b)
}

// composeRepeated: neighbouring and equal pieces of one object are pieces like
// others.
func composeRepeated(t T, b composing) {
	s := sourceOf(t, b, 82, 400_000)
	key, id := begin(t, b)
	wantComposed(t, b, key, id, s.from(0, 1000), s.from(1000, 99_000), s.all(), s.all(), s.from(5, 70_000), s.from(0, 1))
}

func composeMissing(t T, b composing) {
	big, small := sourceOf(t, b, 83, 5*mib), sourceOf(t, b, 84, 1000)
	first, _ := joined(big.all(), small.all())
	for _, n := range []int64{1, 1000, 5 * mib} {
		gone := store.Piece{Key: store.NewKey(dir), Length: n}
		for at := range len(first) + 1 {
			refuse(t, b, "compose of an absent source", slices.Insert(slices.Clone(first), at, gone), store.ErrNotFound)
		}
		refuse(t, b, "compose of an absent source alone", []store.Piece{gone}, store.ErrNotFound)
	}
}

func composeBeyond(t T, b composing) {
	big, small := sourceOf(t, b, 85, 5*mib), sourceOf(t, b, 86, 1000)
	whole, _ := joined(big.all(), small.all())
	for _, p := range []store.Piece{
		{Key: small.key, Offset: 0, Length: 1001},
		{Key: small.key, Offset: 1000, Length: 1},
		{Key: small.key, Offset: 999, Length: 6 * mib},
		{Key: small.key, Offset: 5000, Length: 10},
		{Key: big.key, Offset: 0, Length: 5*mib + 1},
		{Key: big.key, Offset: 6 * mib, Length: 5 * mib},
	} {
		refuse(t, b, "compose of more than there is", []store.Piece{p}, store.ErrRange)
		refuse(t, b, "compose of more than there is, at the end", append(slices.Clone(whole), p), store.ErrRange)
		refuse(t, b, "compose of more than there is, in front", append([]store.Piece{p}, whole...), store.ErrRange)
	}
}

// composeTooMuch: what is more than a storage takes may be refused for that
// before its sources are looked at. The sources are short, so that one that
// takes it has little to copy before it notices.
func composeTooMuch(t T, b composing) {
	s := sourceOf(t, b, 87, 1)
	many := slices.Repeat([]store.Piece{{Key: s.key, Length: 8 * mib}}, 10_001)
	refuse(t, b, "compose of very many pieces", many, store.ErrPieces, store.ErrRange)
	vast := slices.Repeat([]store.Piece{{Key: s.key, Length: 1 << 40}}, 100)
	refuse(t, b, "compose of vast pieces", vast, store.ErrPieces, store.ErrRange)
}
