// Package layout says where the bytes of a content lie: which range of it is
// which range of which blob. All who read contents share it.
package layout

import (
	"fmt"
	"sort"

	"github.com/osproxy/osproxy/daemon/meta"
)

// Piece is Length bytes of a blob from Offset: a whole extent, or some of one.
type Piece struct {
	Blob   *meta.Extent
	Offset int64
	Length int64
}

// Layout is the extents of a content, in order. The zero value is that of an
// empty one.
type Layout struct {
	extents []meta.Extent
	// starts are the offsets in the content at which the extents begin.
	starts []int64
}

// New checks that the extents are a content of size bytes, from its first byte
// to its last, and keeps them.
func New(size int64, extents []meta.Extent) (Layout, error) {
	l := Layout{extents: extents, starts: make([]int64, len(extents))}
	var end int64
	for i, e := range extents {
		if e.Length <= 0 || e.Offset < 0 {
			return Layout{}, fmt.Errorf("extent %d has %d bytes from %d of its blob", i, e.Length, e.Offset)
		}
		l.starts[i] = end
		end += e.Length
	}
	if end != size {
		return Layout{}, fmt.Errorf("the extents have %d bytes, the content %d", end, size)
	}
	return l, nil
}

// Pieces are where n bytes of the content from off lie, in order; none for
// n = 0. The range must lie in the content.
func (l Layout) Pieces(off, n int64) []Piece {
	var ps []Piece
	i := sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > off }) - 1
	for ; n > 0; i++ {
		e := &l.extents[i]
		skip := off - l.starts[i]
		length := min(n, e.Length-skip)
		ps = append(ps, Piece{Blob: e, Offset: e.Offset + skip, Length: length})
		off += length
		n -= length
	}
	return ps
}

// Same reports whether every byte lies where it lies in o.
func (l Layout) Same(o Layout) bool {
	if len(l.extents) != len(o.extents) {
		return false
	}
	for i := range l.extents {
		if a, b := &l.extents[i], &o.extents[i]; a.Blob != b.Blob || a.Offset != b.Offset || a.Length != b.Length {
			return false
		}
	}
	return true
}
