package file

import (
	"sync"

	"github.com/osproxy/osproxy/daemon/recent"
)

const (
	// smallMax is up to which size a content's bytes are kept in memory: to
	// open, read and close its file costs more than all else of an answer.
	smallMax = 8 << 10
	// smallsMax bounds how many are, in 4 MiB at most.
	smallsMax = 512
)

// smalls are the bytes of small contents that matched their record. They are
// used for as long as their place is seen, and so are as fresh as a block that
// is not read again before it is sent from its file.
type smalls struct {
	mu     sync.Mutex
	recent *recent.Values[place, []byte]
}

func newSmalls() *smalls { return &smalls{recent: recent.New[place, []byte](smallsMax)} }

func (s *smalls) get(p place) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, _ := s.recent.Get(p)
	return b
}

func (s *smalls) put(p place, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.Put(p, b)
}

// small reports whether the content's bytes may be kept.
func (c *Content) small() bool { return c.s.cfg.Verify == VerifyFirst && c.Size() <= smallMax }

// kept are the bytes of a small content whose only block is known, or nil.
func (c *Content) kept() []byte {
	if !c.small() || len(c.records) != 1 {
		return nil
	}
	p := placeOf(c.blockPieces(0), c.records[0].XXH3)
	if !c.s.seen.has(p) {
		return nil
	}
	return c.s.smalls.get(p)
}
