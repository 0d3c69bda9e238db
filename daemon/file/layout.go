package file

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// piece is n bytes of a blob from offset: a whole extent, or some of one.
type piece struct {
	blob   *meta.Extent
	offset int64
	n      int64
}

// layout is where the bytes of a content lie.
type layout struct {
	extents []meta.Extent
	// starts are the offsets in the content at which the extents begin.
	starts []int64
}

// newLayout checks that the extents are the content from its first byte to its
// last.
func newLayout(size int64, extents []meta.Extent) (layout, error) {
	l := layout{extents: extents, starts: make([]int64, len(extents))}
	var end int64
	for i, e := range extents {
		if e.Length <= 0 || e.Offset < 0 {
			return layout{}, fmt.Errorf("extent %d has %d bytes from %d of its blob", i, e.Length, e.Offset)
		}
		l.starts[i] = end
		end += e.Length
	}
	if end != size {
		return layout{}, fmt.Errorf("the extents have %d bytes, the content %d", end, size)
	}
	return l, nil
}

// pieces are where n bytes of the content from off lie, in order. The range
// lies in the content.
func (l layout) pieces(off, n int64) []piece {
	var ps []piece
	i := sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > off }) - 1
	for ; n > 0; i++ {
		e := &l.extents[i]
		skip := off - l.starts[i]
		length := min(n, e.Length-skip)
		ps = append(ps, piece{blob: e, offset: e.Offset + skip, n: length})
		off += length
		n -= length
	}
	return ps
}

// sameAs reports whether nothing lies elsewhere than in o.
func (l layout) sameAs(o layout) bool {
	if len(l.extents) != len(o.extents) {
		return false
	}
	for i := range l.extents {
		if l.extents[i] != o.extents[i] {
			return false
		}
	}
	return true
}

// placeOf is the place of a block that lies in ps and is recorded with sum.
func placeOf(ps []piece, sum protocol.XXH3) place {
	p := place{blob: ps[0].blob.Blob, offset: ps[0].offset, sum: sum}
	if len(ps) == 1 {
		return p
	}
	var b []byte
	for i := range ps {
		b = binary.BigEndian.AppendUint64(b, uint64(ps[i].blob.Blob))
		b = binary.BigEndian.AppendUint64(b, uint64(ps[i].offset))
		b = binary.BigEndian.AppendUint64(b, uint64(ps[i].n))
	}
	p.rest = protocol.SumXXH3(b)
	return p
}
