package file

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/daemon/recent"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// seenFor is how long a block that passed is not checked again.
	seenFor = 10 * time.Minute
	// seenMax bounds the blocks remembered: 64 Ki of them are 256 GiB of
	// content, in some 8 MiB.
	seenMax = 64 << 10
)

// place is a block as it lies in blobs. Blobs are immutable and their rows are
// never used again, so what was true of a place stays true whatever happens to
// the contents that use it; a content's own number would not do, since its
// extents may change.
type place struct {
	blob   meta.BlobID
	offset int64
	// rest is over all pieces of a block in several, zero for one in one piece.
	rest protocol.XXH3
	sum  protocol.XXH3
}

// placeOf is the place of a block that lies in ps and is recorded with sum.
func placeOf(ps []layout.Piece, sum protocol.XXH3) place {
	p := place{blob: ps[0].Blob.Blob, offset: ps[0].Offset, sum: sum}
	if len(ps) == 1 {
		return p
	}
	var b []byte
	for i := range ps {
		b = binary.BigEndian.AppendUint64(b, uint64(ps[i].Blob.Blob))
		b = binary.BigEndian.AppendUint64(b, uint64(ps[i].Offset))
		b = binary.BigEndian.AppendUint64(b, uint64(ps[i].Length))
	}
	p.rest = protocol.SumXXH3(b)
	return p
}

// seen remembers the places of blocks that passed, and since when.
type seen struct {
	clock  func() time.Time
	mu     sync.Mutex
	recent *recent.Values[place, time.Time]
}

func newSeen(clock func() time.Time) *seen {
	return &seen{clock: clock, recent: recent.New[place, time.Time](seenMax)}
}

// has reports whether p passed within the last seenFor.
func (s *seen) has(p place) bool {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.recent.Get(p)
	// A clock that went back makes nothing last longer.
	age := now.Sub(at)
	return ok && age >= 0 && age < seenFor
}

// add remembers that p passed at the time given, which is when its reading
// began.
func (s *seen) add(p place, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.Put(p, at)
}
