package object

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/osproxy/osproxy/store"
)

// wholeCRC is the sum of the pieces together, where each is a whole object of
// which the storage keeps one.
func wholeCRC(pieces []store.Piece, sources map[store.Key]Object, p Polynomial) (sum uint64, known bool) {
	for _, piece := range pieces {
		o := sources[piece.Key]
		if !o.HasCRC || !whole(piece, o) {
			return 0, false
		}
		sum = p.Combine(sum, o.CRC, o.Size)
	}
	return sum, true
}

func whole(p store.Piece, o Object) bool { return p.Offset == 0 && p.Length == o.Size }

// proof shows by MD5s that a joined object has the bytes of its pieces, where
// the storage keeps no better sum: a part that was copied has its source's,
// one that was sent that of the bytes sent, which were the sources'; and the
// object has those of the parts.
type proof struct {
	mu   sync.Mutex
	sums map[int]sums // by number of the part, of those that were sent here
}

func (p *proof) sent(number int, s sums) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sums == nil {
		p.sums = map[int]sums{}
	}
	p.sums[number] = s
}

func (p *proof) holds(o Object, steps []Step, parts []Part, sources map[store.Key]Object) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := md5.New()
	for i, s := range steps {
		sum, err := hex.DecodeString(parts[i].MD5)
		if err != nil || len(sum) != md5.Size || !p.part(s, parts[i], sources) {
			return false
		}
		all.Write(sum)
	}
	return o.MD5 == fmt.Sprintf("%x-%d", all.Sum(nil), len(steps))
}

// part reports whether a part has the bytes of its ranges.
func (p *proof) part(s Step, part Part, sources map[store.Key]Object) bool {
	ranges := []string{part.MD5}
	if len(s.Ranges) != 1 { // one range has the sum of the part
		sent, ok := p.sums[s.Number]
		if !ok || sent.all != part.MD5 {
			return false
		}
		ranges = sent.each
	}
	for i, r := range s.Ranges {
		if o := sources[r.Key]; !whole(r, o) || o.MD5 != ranges[i] {
			return false
		}
	}
	return true
}
