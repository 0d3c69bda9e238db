package layout_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// at is a byte of a blob.
type at struct {
	blob   meta.BlobID
	offset int64
}

func TestPiecesAreTheBytesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var extents []meta.Extent
		var want []at
		for range rapid.IntRange(0, 8).Draw(t, "extents") {
			e := meta.Extent{
				Blob:   meta.BlobID(rapid.IntRange(1, 3).Draw(t, "blob")),
				Offset: rapid.Int64Range(0, 5).Draw(t, "offset"),
				Length: rapid.Int64Range(1, 6).Draw(t, "length"),
			}
			extents = append(extents, e)
			for i := range e.Length {
				want = append(want, at{e.Blob, e.Offset + i})
			}
		}
		l, err := layout.New(int64(len(want)), extents)
		if err != nil {
			t.Fatal(err)
		}
		off := rapid.IntRange(0, len(want)).Draw(t, "off")
		n := rapid.IntRange(0, len(want)-off).Draw(t, "n")
		i := off
		for _, p := range l.Pieces(int64(off), int64(n)) {
			if p.Length < 1 {
				t.Fatalf("an empty piece: %+v", p)
			}
			for j := range p.Length {
				if i == off+n || want[i] != (at{p.Blob.Blob, p.Offset + j}) {
					t.Fatalf("byte %d is at %d of blob %d", i, p.Offset+j, p.Blob.Blob)
				}
				i++
			}
		}
		if i != off+n {
			t.Fatalf("the pieces have %d bytes of %d", i-off, n)
		}
	})
}

func TestExtentsThatAreNotTheContent(t *testing.T) {
	for name, extents := range map[string][]meta.Extent{
		"none":     nil,
		"short":    {{Length: 9}},
		"long":     {{Length: 9}, {Length: 2}},
		"empty":    {{Length: 10}, {Length: 0}},
		"negative": {{Length: 11}, {Length: -1}},
		"before":   {{Offset: -1, Length: 10}},
	} {
		if _, err := layout.New(10, extents); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := layout.New(0, nil); err != nil {
		t.Errorf("an empty content: %v", err)
	}
}

func TestSame(t *testing.T) {
	e := []meta.Extent{{Blob: 1, Length: 3}, {Blob: 2, Length: 4}}
	a, _ := layout.New(7, e)
	b, _ := layout.New(7, []meta.Extent{e[0], e[1]})
	c, _ := layout.New(7, []meta.Extent{e[0], {Blob: 3, Length: 4}})
	d, _ := layout.New(3, e[:1])
	sum := protocol.XXH3{1}
	f, _ := layout.New(7, []meta.Extent{{Blob: 1, Length: 3, XXH3: &sum}, e[1]})
	if !a.Same(b) || a.Same(c) || a.Same(d) || !a.Same(f) {
		t.Errorf("Same: %t %t %t", a.Same(b), a.Same(c), a.Same(d))
	}
}
