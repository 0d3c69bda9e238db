package storetest_test

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/mem"
)

// TestSuiteNoticesCapabilities is TestSuiteNotices for what not every backend
// can do.
func TestSuiteNoticesCapabilities(t *testing.T) {
	composer := func(broken func(context.Context, *mem.Backend, store.Key, store.ComposeID, []store.Piece) error) func(*mem.Backend) store.Backend {
		return func(b *mem.Backend) store.Backend { return composes{b, broken} }
	}
	browser := func(change func(store.Found) (store.Found, bool)) func(*mem.Backend) store.Backend {
		return func(b *mem.Backend) store.Backend { return finds{b, change} }
	}
	for _, c := range []broken{
		{"compose one piece", composer(wholeObjects)},
		{"compose small pieces", composer(withoutTheLast)},
		{"compose small pieces between large ones", composer(smallOnesLast)},
		{"compose the same bytes over and over", composer(eachOnce)},
		{"compose a missing source", composer(withoutTheMissing)},
		{"compose beyond a source", composer(clamped)},
		{"compose too much", composer(vaguely)},
		{"compose again", composer(onlyOnce)},
		{"compose after a failure", composer(abandoning)},
		{"compose what was not begun", composer(beginning)},
		{"compose with an ended context", composer(withoutEnd)},
		{"compose twice at once", func(b *mem.Backend) store.Backend { return oneID{b} }},
		{"compose under bad keys", func(b *mem.Backend) store.Backend { return takesAny{b} }},
		{"abandon a composition", func(b *mem.Backend) store.Backend { return deletes{b} }},
		{"unfinished compositions", func(b *mem.Backend) store.Backend { return forgets{b} }},
		{"browse in order", func(b *mem.Backend) store.Backend { return walks{b} }},
		{"browse by prefix", func(b *mem.Backend) store.Backend { return folders{b} }},
		{"browse many", browser(stopAfter(1000))},
		{"browse leaves out our own", func(b *mem.Backend) store.Backend { return findsAll{b} }},
		{"browse with an ended context", func(b *mem.Backend) store.Backend { return browsesOn{b} }},
		{"foreign objects of odd names", browser(unescaped)},
		{"foreign objects that are absent", func(b *mem.Backend) store.Backend { return hasFolders{b} }},
		{"foreign objects that change", func(b *mem.Backend) store.Backend { return sizeTags{b} }},
		{"marks of other stores", func(b *mem.Backend) store.Backend { return markless{b} }},
		{"foreign objects are not written", func(b *mem.Backend) store.Backend { return writesForeign{b} }},
		{"check", func(b *mem.Backend) store.Backend { return checkMarks{b} }},
	} {
		c.check(t)
	}
}

// composes composes otherwise.
type composes struct {
	*mem.Backend
	f func(context.Context, *mem.Backend, store.Key, store.ComposeID, []store.Piece) error
}

func (b composes) Compose(ctx context.Context, key store.Key, id store.ComposeID, pieces []store.Piece) (bool, error) {
	return false, b.f(ctx, b.Backend, key, id, pieces)
}

func compose(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	_, err := b.Compose(ctx, key, id, pieces)
	return err
}

func wholeObjects(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	pieces = slices.Clone(pieces)
	for i, p := range pieces {
		info, err := b.Stat(ctx, p.Key)
		if err != nil {
			return err
		}
		pieces[i] = store.Piece{Key: p.Key, Length: info.Size}
	}
	return compose(ctx, b, key, id, pieces)
}

func withoutTheLast(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	return compose(ctx, b, key, id, pieces[:len(pieces)-1])
}

func smallOnesLast(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	small := func(p store.Piece) int {
		if p.Length < 5<<20 {
			return 1
		}
		return 0
	}
	pieces = slices.SortedStableFunc(slices.Values(pieces), func(x, y store.Piece) int { return small(x) - small(y) })
	return compose(ctx, b, key, id, pieces)
}

func eachOnce(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	return compose(ctx, b, key, id, slices.Compact(slices.Clone(pieces)))
}

func withoutTheMissing(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	return compose(ctx, b, key, id, slices.DeleteFunc(slices.Clone(pieces), func(p store.Piece) bool {
		_, err := b.Stat(ctx, p.Key)
		return err != nil
	}))
}

func clamped(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	pieces = slices.Clone(pieces)
	for i, p := range pieces {
		if info, err := b.Stat(ctx, p.Key); err == nil {
			pieces[i].Length = max(0, min(p.Length, info.Size-p.Offset))
		}
	}
	return compose(ctx, b, key, id, pieces)
}

// vaguely does not say why.
func vaguely(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	if compose(ctx, b, key, id, pieces) != nil {
		return errors.New("400 Bad Request")
	}
	return nil
}

func onlyOnce(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	if _, err := b.Stat(ctx, key); err == nil {
		return store.ErrNotBegun
	}
	return compose(ctx, b, key, id, pieces)
}

// abandoning cleans up after itself, which nobody asked for.
func abandoning(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	err := compose(ctx, b, key, id, pieces)
	if err != nil {
		return errors.Join(err, b.AbandonCompose(ctx, key, id))
	}
	return nil
}

func beginning(ctx context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	err := compose(ctx, b, key, id, pieces)
	if !errors.Is(err, store.ErrNotBegun) {
		return err
	}
	if id, err = b.BeginCompose(ctx, key); err != nil {
		return err
	}
	return compose(ctx, b, key, id, pieces)
}

func withoutEnd(_ context.Context, b *mem.Backend, key store.Key, id store.ComposeID, pieces []store.Piece) error {
	return compose(context.Background(), b, key, id, pieces)
}

// oneID has one composition for each key.
type oneID struct{ *mem.Backend }

func (b oneID) BeginCompose(ctx context.Context, key store.Key) (store.ComposeID, error) {
	for u := range b.Unfinished(ctx) {
		if u.Key == key {
			return u.ID, nil
		}
	}
	return b.Backend.BeginCompose(ctx, key)
}

// takesAny begins under any key.
type takesAny struct{ *mem.Backend }

func (b takesAny) BeginCompose(ctx context.Context, key store.Key) (store.ComposeID, error) {
	if !key.Valid() {
		key = store.NewKey("00000001")
	}
	return b.Backend.BeginCompose(ctx, key)
}

// deletes deletes the object of a composition that it is to abandon.
type deletes struct{ *mem.Backend }

func (b deletes) AbandonCompose(ctx context.Context, key store.Key, id store.ComposeID) error {
	return errors.Join(b.Backend.AbandonCompose(ctx, key, id), b.Delete(ctx, key))
}

// forgets lists no composition.
type forgets struct{ *mem.Backend }

func (b forgets) Unfinished(context.Context) iter.Seq2[store.Unfinished, error] {
	return func(func(store.Unfinished, error) bool) {}
}

// finds changes what is found; false ends it.
type finds struct {
	*mem.Backend
	change func(store.Found) (store.Found, bool)
}

func (b finds) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for f, err := range b.Backend.Browse(ctx, prefix, after) {
			f, ok := b.change(f)
			if !ok || !yield(f, err) {
				return
			}
		}
	}
}

func stopAfter(n int) func(store.Found) (store.Found, bool) {
	return func(f store.Found) (store.Found, bool) {
		n--
		return f, n >= 0
	}
}

func unescaped(f store.Found) (store.Found, bool) {
	if name, err := url.QueryUnescape(f.Name); err == nil {
		f.Name = name
	}
	return f, true
}

// walks goes through folders, each wholly at its place.
type walks struct{ *mem.Backend }

func (b walks) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		var all []store.Found
		for f, err := range b.Backend.Browse(ctx, prefix, after) {
			if err != nil {
				yield(f, err)
				return
			}
			all = append(all, f)
		}
		slices.SortFunc(all, func(x, y store.Found) int {
			return slices.Compare(strings.Split(x.Name, "/"), strings.Split(y.Name, "/"))
		})
		for _, f := range all {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// folders takes a prefix for a folder.
type folders struct{ *mem.Backend }

func (b folders) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return b.Backend.Browse(ctx, strings.TrimSuffix(prefix, "/")+"/", after)
}

// findsAll finds its own objects too.
type findsAll struct{ *mem.Backend }

func (b findsAll) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for info, err := range b.List(ctx, prefix, store.Key(after)) {
			if !yield(store.Found{Name: string(info.Key), Size: info.Size}, err) {
				return
			}
		}
		for f, err := range b.Backend.Browse(ctx, prefix, after) {
			if !yield(f, err) {
				return
			}
		}
	}
}

// browsesOn does not look at its context.
type browsesOn struct{ *mem.Backend }

func (b browsesOn) Browse(_ context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return b.Backend.Browse(context.Background(), prefix, after)
}

// hasFolders describes what names only begin with.
type hasFolders struct{ *mem.Backend }

func (b hasFolders) Describe(ctx context.Context, name string) (store.Found, error) {
	for f, err := range b.Browse(ctx, path.Clean(name)+"/", "") {
		return f, err
	}
	return b.Backend.Describe(ctx, name)
}

// markless sees no marks.
type markless struct{ *mem.Backend }

func (markless) Marked(context.Context, string) (bool, error) { return false, nil }

// sizeTags tells objects by their size.
type sizeTags struct{ *mem.Backend }

func (b sizeTags) Describe(ctx context.Context, name string) (store.Found, error) {
	f, err := b.Backend.Describe(ctx, name)
	f.Tag = "size"
	return f, err
}

// writesForeign begins compositions under any key.
type writesForeign struct{ *mem.Backend }

func (b writesForeign) BeginCompose(context.Context, store.Key) (store.ComposeID, error) {
	return "1", nil
}

// checkMarks marks what it looks at.
type checkMarks struct{ *mem.Backend }

func (b checkMarks) Check(ctx context.Context) error {
	if _, err := b.Mark(ctx); err != nil {
		return b.SetMark(ctx, "checked")
	}
	return nil
}
