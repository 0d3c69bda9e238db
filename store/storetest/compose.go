package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/osproxy/osproxy/store"
)

// mib is 2^20 bytes.
const mib = 1 << 20

func runComposer(t T, open Open) {
	for _, c := range []struct {
		name string
		run  func(T, composing)
	}{
		{"compose one piece", composeOne},
		{"compose small pieces", composeSmall},
		{"compose small pieces between large ones", composeMixed},
		{"compose the same bytes over and over", composeRepeated},
		{"compose a missing source", composeMissing},
		{"compose beyond a source", composeBeyond},
		{"compose too much", composeTooMuch},
		{"compose again", composeAgain},
		{"compose after a failure", composeAfterFailure},
		{"compose what was not begun", composeNotBegun},
		{"compose twice at once", composeTwice},
		{"compose with an ended context", composeEnded},
		{"compose under bad keys", composeBadKeys},
		{"abandon a composition", composeAbandon},
		{"unfinished compositions", composeUnfinished},
	} {
		t.Run(c.name, func(t T) {
			b := opened(t, open)
			if composer, ok := b.(store.Composer); ok {
				c.run(t, composing{b, composer})
			} else {
				t.Logf("the backend does not compose")
			}
		})
	}
}

// composing is a backend that composes.
type composing struct {
	store.Backend
	store.Composer
}

// source is an object that was put, with its bytes.
type source struct {
	key  store.Key
	data []byte
}

func sourceOf(t T, b store.Backend, seed uint64, n int) source {
	t.Helper()
	data := bytesOf(seed, n)
	return source{put(t, b, data), data}
}

// from is n bytes of s from off.
func (s source) from(off, n int) pieceOf { return pieceOf{s, off, n} }

// all is the whole of s.
func (s source) all() pieceOf { return pieceOf{s, 0, len(s.data)} }

// pieceOf is a piece whose bytes are known.
type pieceOf struct {
	source
	off, n int
}

// joined gives the pieces as a Composer takes them, and the bytes they make.
func joined(pieces ...pieceOf) ([]store.Piece, []byte) {
	var list []store.Piece
	var data []byte
	for _, p := range pieces {
		list = append(list, store.Piece{Key: p.key, Offset: int64(p.off), Length: int64(p.n)})
		data = append(data, p.data[p.off:p.off+p.n]...)
	}
	return list, data
}

// begin begins a composition under a new key.
func begin(t T, b composing) (store.Key, store.ComposeID) {
	t.Helper()
	key := store.NewKey(dir)
	return key, beginAt(t, b, key)
}

func beginAt(t T, b composing, key store.Key) store.ComposeID {
	t.Helper()
	id, err := b.BeginCompose(t.Context(), key)
	if err != nil {
		t.Fatalf("begin compose: %v", err)
	}
	if id == "" {
		t.Fatalf("begin compose: an empty id")
	}
	return id
}

// wantComposed composes and checks what came of it.
func wantComposed(t T, b composing, key store.Key, id store.ComposeID, pieces ...pieceOf) {
	t.Helper()
	list, data := joined(pieces...)
	if _, err := b.Compose(t.Context(), key, id, list); err != nil {
		t.Errorf("compose %d pieces, %d bytes: %v", len(list), len(data), err)
		return
	}
	wantBytes(t, b, key, data)
	if info, err := b.Stat(t.Context(), key); err != nil || info.Size != int64(len(data)) {
		t.Errorf("stat of a composed object of %d bytes: %+v, %v", len(data), info, err)
	}
}

// refuse composes pieces that cannot be joined: nothing is visible then, and
// nothing left once the composition was abandoned.
func refuse(t T, b composing, what string, pieces []store.Piece, want ...error) {
	t.Helper()
	key, id := begin(t, b)
	_, err := b.Compose(t.Context(), key, id, pieces)
	wantOneOf(t, what, err, want...)
	wantAbsent(t, b, key)
	abandon(t, b, key, id)
	wantAbsent(t, b, key)
	wantUnfinished(t, b)
}

func abandon(t T, b composing, key store.Key, id store.ComposeID) {
	t.Helper()
	if err := b.AbandonCompose(t.Context(), key, id); err != nil {
		t.Errorf("abandon a composition: %v", err)
	}
}

// wantUnfinished checks which compositions are not finished.
func wantUnfinished(t T, b composing, want ...store.Unfinished) {
	t.Helper()
	var got []store.Unfinished
	for u, err := range b.Unfinished(t.Context()) {
		if err != nil {
			t.Fatalf("list unfinished: %v", err)
		}
		if age := time.Since(u.Begun).Abs(); age > 24*time.Hour {
			t.Errorf("unfinished: begun at %v, which is not today", u.Begun)
		}
		u.Begun = time.Time{}
		got = append(got, u)
	}
	for _, u := range want {
		if !slices.Contains(got, u) {
			t.Errorf("unfinished: %+v is not listed", u)
		}
	}
	if len(got) != len(want) {
		t.Errorf("unfinished: %+v, want %+v", got, want)
	}
}

// composeEnded: the caller's end is the caller's.
func composeEnded(t T, b composing) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(what string, err error) {
		t.Helper()
		wantErr(t, what+" with an ended context", err, context.Canceled)
	}
	s := sourceOf(t, b, 31, 1000)
	pieces, _ := joined(s.from(0, 500), s.from(600, 400))
	key, id := begin(t, b)
	_, err := b.BeginCompose(ctx, store.NewKey(dir))
	check("begin compose", err)
	_, err = b.Compose(ctx, key, id, pieces)
	check("compose", err)
	check("abandon", b.AbandonCompose(ctx, key, id))
	err = nil
	for _, err = range b.Unfinished(ctx) {
	}
	check("list unfinished", err)
	wantAbsent(t, b, key)
	wantUnfinished(t, b, store.Unfinished{Key: key, ID: id})
	wantComposed(t, b, key, id, s.from(0, 500), s.from(600, 400))
}

func composeBadKeys(t T, b composing) {
	s := sourceOf(t, b, 32, 1000)
	pieces, _ := joined(s.all())
	for _, bad := range []store.Key{"", "x", "../" + s.key, store.ForeignKey("x"), store.ForeignKey(string(s.key))} {
		_, err := b.BeginCompose(t.Context(), bad)
		wantErr(t, "begin compose under a bad key", err, store.ErrKey)
		_, err = b.Compose(t.Context(), bad, "1", pieces)
		wantErr(t, "compose under a bad key", err, store.ErrKey)
		wantErr(t, "abandon under a bad key", b.AbandonCompose(t.Context(), bad, "1"), store.ErrKey)
	}
	refuse(t, b, "compose of a bad key", []store.Piece{{Key: "x", Length: 1}}, store.ErrKey)
}
