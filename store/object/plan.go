package object

import (
	"fmt"

	"github.com/osproxy/osproxy/store"
)

// Limits are a storage's for the parts an object is composed of.
type Limits struct {
	// MinPart is the least number of bytes of every part but the last one, and
	// MaxPart the most; at least twice as many.
	MinPart, MaxPart int64
	MaxParts         int
	// MinCopy is the least number of bytes that are copied, also as the last
	// part; 0 is MinPart.
	MinCopy int64
	// Part is how much is copied at once where the number of parts allows it,
	// so that no copy takes long; 0 is MaxPart.
	Part int64
}

// Step makes one part of a composed object.
type Step struct {
	Number int // from 1
	// Ranges are joined to the part.
	Ranges []store.Piece
	// Copied says that the part is a single range, which is copied on the
	// storage's own side. All else is read and sent.
	Copied bool
}

// Size is the number of bytes of the part.
func (s Step) Size() int64 { return total(s.Ranges) }

func total(pieces []store.Piece) (n int64) {
	for _, p := range pieces {
		n += p.Length
	}
	return n
}

// Plan says in which steps the pieces become one object. The same pieces and
// limits always give the same steps. What is too much is store.ErrPieces.
func Plan(pieces []store.Piece, l Limits) ([]Step, error) {
	var size int64
	for _, p := range pieces {
		if p.Offset < 0 || p.Length < 0 || p.Offset+p.Length < p.Offset {
			return nil, fmt.Errorf("%d bytes from %d: %w", p.Length, p.Offset, store.ErrRange)
		}
		if size += p.Length; size < 0 || size/int64(l.MaxParts) > l.MaxPart {
			return nil, fmt.Errorf("%d pieces have more bytes than %d parts of %d: %w", len(pieces), l.MaxParts, l.MaxPart, store.ErrPieces)
		}
	}
	part := l.Part
	if part == 0 {
		part = l.MaxPart
	}
	for {
		// Short pieces are gathered to more than they have to where there would
		// be too many parts otherwise.
		for gather := l.MinPart; gather <= part/2; gather *= 2 {
			if steps, ok := plan(pieces, l, part, gather); ok {
				return steps, nil
			}
		}
		if part == l.MaxPart {
			return nil, fmt.Errorf("%d pieces of %d bytes do not fit into %d parts: %w", len(pieces), size, l.MaxParts, store.ErrPieces)
		}
		part = min(2*part, l.MaxPart)
	}
}

// plan is Plan where a copy has at most part bytes and short pieces are
// gathered to that many; not ok where it takes too many steps.
func plan(pieces []store.Piece, l Limits, part, gather int64) ([]Step, bool) {
	p := planning{rest: pieces, limits: l}
	for p.next() {
		if p.piece.Length >= l.MinPart {
			p.copy(part)
		} else {
			p.gather(gather)
		}
		if len(p.steps) > l.MaxParts {
			return nil, false
		}
	}
	if len(p.steps) == 0 {
		p.add(nil)
	}
	return p.steps, true
}

// planning is a walk over pieces.
type planning struct {
	rest   []store.Piece
	piece  store.Piece // what is left of the current one
	limits Limits
	steps  []Step
}

// next goes to where there are bytes.
func (p *planning) next() bool {
	for p.piece.Length == 0 && len(p.rest) > 0 {
		p.piece, p.rest = p.rest[0], p.rest[1:]
	}
	return p.piece.Length > 0
}

// take cuts bytes off the current piece.
func (p *planning) take(n int64) store.Piece {
	taken := store.Piece{Key: p.piece.Key, Offset: p.piece.Offset, Length: n}
	p.piece.Offset += n
	p.piece.Length -= n
	return taken
}

func (p *planning) add(ranges []store.Piece) {
	copied := len(ranges) == 1 && ranges[0].Length >= max(p.limits.MinPart, p.limits.MinCopy)
	p.steps = append(p.steps, Step{Number: len(p.steps) + 1, Ranges: ranges, Copied: copied})
}

// copy makes parts of the whole rest of the current piece, all of about the
// same size, so that none is too short.
func (p *planning) copy(part int64) {
	for n := (p.piece.Length-1)/part + 1; n > 0 && len(p.steps) <= p.limits.MaxParts; n-- {
		p.add([]store.Piece{p.take(p.piece.Length / n)})
	}
}

// gather joins short pieces to a part of so many bytes, or one of the least
// size where a long piece follows: what lacks to that is taken from it.
func (p *planning) gather(enough int64) {
	var ranges []store.Piece
	var n int64
	for n < enough && p.next() {
		long := p.piece.Length >= p.limits.MinPart
		if long && n >= p.limits.MinPart {
			break
		}
		taken := p.piece.Length
		if long && taken >= 2*p.limits.MinPart-n {
			taken = p.limits.MinPart - n
		}
		ranges = append(ranges, p.take(taken))
		n += taken
	}
	p.add(ranges)
}
