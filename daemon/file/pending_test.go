package file

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

func TestContentWithoutADigestIsServed(t *testing.T) {
	data := noise(bs + 200_000)
	for _, kind := range kinds {
		for _, mode := range []VerifyMode{VerifyFirst, VerifyAlways, VerifyOff} {
			b := newBench(t, kind, mode)
			for _, sums := range []bool{true, false} {
				uid := b.putUnknown(data, sums, 1, 100_000, bs)
				for range 2 { // cold, then hot
					for _, r := range append(ranges(int64(len(data))), [2]int64{0, 1}, [2]int64{99_999, 3}, [2]int64{100_001, 10}) {
						got, err := b.serve(uid, r[0], r[1])
						if err != nil || !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
							t.Fatalf("%s, %s, sums %v: %d bytes from %d: %v", kind, mode, sums, r[1], r[0], err)
						}
					}
				}
				_, err := b.svc.Blocks(t.Context(), owner, uid)
				wantKind(t, err, protocol.KindDigestPending)
			}
		}
	}
}

func TestDamageOfContentWithoutADigest(t *testing.T) {
	data := noise(bs)
	flip := func(o []byte) []byte { o[len(o)/2] ^= 1; return o }
	for _, kind := range kinds {
		for name, c := range map[string]struct {
			sums bool
			harm func(o []byte) []byte
			want protocol.Kind
		}{
			"flipped":              {true, flip, protocol.KindContentCorrupt},
			"flipped, no record":   {false, flip, ""}, // nobody can know
			"truncated":            {true, func(o []byte) []byte { return o[:len(o)-2] }, protocol.KindContentCorrupt},
			"truncated, no record": {false, func(o []byte) []byte { return o[:len(o)-2] }, protocol.KindContentCorrupt},
			"missing":              {true, func([]byte) []byte { return nil }, protocol.KindContentCorrupt},
			"missing, no record":   {false, func([]byte) []byte { return nil }, protocol.KindContentCorrupt},
		} {
			b := newBench(t, kind, VerifyFirst)
			uid := b.putUnknown(data, c.sums, 1_000_000)
			b.change(uid, 1, c.harm)
			got, err := b.serve(uid, 0, bs)
			if protocol.KindOf(err) != c.want {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
			if c.want == "" {
				continue
			}
			most := bs
			if kind == "local" && c.sums {
				most = 1_000_000
			} else if c.sums {
				most = bs - holdBack
			}
			if len(got) > most || len(got) == bs {
				t.Errorf("%s, %s: %d bytes left", kind, name, len(got))
			}
			if mc := b.contentOf(uid); mc.State != meta.ContentDamaged {
				t.Errorf("%s, %s: the content is %s", kind, name, mc.State)
			}
		}
	}
}

func TestWhatArrivesWrongOnceOfAContentWithoutADigest(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	data := noise(bs)
	uid := b.putUnknown(data, true)
	b.over(&flaky{Backend: b.backend, left: 2}) // the look, and the reading
	_, err := b.serve(uid, 0, bs)
	wantKind(t, err, protocol.KindStoreUnavailable)
	got, err := b.serve(uid, 0, bs)
	if err != nil || !bytes.Equal(got, data) || len(b.corruptions()) != 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestARangeOfAnExtentReadsAllOfItOnce(t *testing.T) {
	b := newBench(t, "mem", VerifyFirst)
	g := newGets(b.backend)
	b.over(g)
	data := noise(bs)
	with, without := b.putUnknown(data, true, 1_000_000), b.putUnknown(data, false, 1_000_000)
	for _, c := range []struct {
		uid  protocol.UID
		want []int64
	}{
		{with, []int64{1, bs - 1_000_000}}, {with, []int64{1, 10}},
		{without, []int64{1, 10}},
	} {
		got, err := b.serve(c.uid, 2_000_000, 10)
		if err != nil || !bytes.Equal(got, data[2_000_000:2_000_010]) {
			t.Error(err)
		}
		if asked := g.taken(); !slices.Equal(asked, c.want) {
			t.Errorf("asked for %v, want %v", asked, c.want)
		}
	}
}

// elsewhere has the extents of one content be others.
type elsewhere struct {
	*meta.DB
	extents []meta.Extent
	blocks  []protocol.Block
}

func (e *elsewhere) Extents(ctx context.Context, id meta.ContentID) ([]meta.Extent, int64, error) {
	extents, gen, err := e.DB.Extents(ctx, id)
	if e.extents != nil {
		extents, gen = e.extents, gen+1
	}
	return extents, gen, err
}

func (e *elsewhere) Blocks(ctx context.Context, id meta.ContentID, first, n int64) ([]protocol.Block, error) {
	if e.extents != nil && e.blocks != nil {
		return e.blocks[first:min(first+n, int64(len(e.blocks)))], nil
	}
	return e.DB.Blocks(ctx, id, first, n)
}

// Contents without a digest are moved, too, extent by extent; or their digest
// becomes known, and then their blocks are compared.
func TestContentWithoutADigestMoves(t *testing.T) {
	data := noise(2*bs + 5)
	for _, kind := range kinds {
		for _, sums := range []bool{true, false} {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, sums %v, known %v", kind, sums, known), func(t *testing.T) {
					b := newBench(t, kind, VerifyFirst)
					meta := &elsewhere{DB: b.db}
					b.svc.cfg.Meta = meta
					uid, other := b.putUnknown(data, sums, 1_000_000, bs), b.putUnknown(data, sums, 1_000_000, bs)
					c, err := b.svc.Open(t.Context(), owner, uid)
					must(t, err)
					out := &mover{move: func() {
						meta.extents = b.extents[other]
						if known {
							meta.blocks = blocksOfData(data)
						}
						for i := range b.extents[uid] {
							b.change(uid, i, func([]byte) []byte { return nil })
						}
					}}
					must(t, c.Check(t.Context(), 0, int64(len(data))))
					must(t, c.WriteRange(t.Context(), out, 0, int64(len(data))))
					must(t, c.Close())
					// Files that are open go on being read where they were.
					if !bytes.Equal(out.Bytes(), data) || kind != "local" && c.pending == known || len(b.corruptions()) != 0 {
						t.Errorf("wrong bytes, or the digest counts as known %v; told of %v", !c.pending, b.corruptions())
					}
				})
			}
		}
	}
}
