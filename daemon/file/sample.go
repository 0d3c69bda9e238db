package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Sample reads [offset, length] ranges of a content, each through the whole of
// the blocks it lies in: they are read and compared now, whatever passed
// before and whatever verify_reads says, since what is done with a sample may
// give the content away. The reader has the ranges in memory and nothing else:
// any other read is io.ErrUnexpectedEOF. The caller bounds the ranges.
//
// Errors are those of Content.WriteRange; KindContentCorrupt has been recorded.
func (s *Service) Sample(ctx context.Context, mc meta.Content, ranges [][2]int64) (_ io.ReaderAt, err error) {
	for _, r := range ranges {
		if err := checkRange(mc.Size, r[0], r[1]); err != nil {
			return nil, err
		}
	}
	c, err := s.content(ctx, protocol.File{Size: mc.Size}, mc)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	sm := newSample(ranges)
	for _, block := range blocksIn(ranges) {
		if err := c.settle(ctx, func() error {
			pos := block * protocol.BlockSize
			_, err := c.compare(ctx, block, func(b []byte) {
				sm.take(pos, b)
				pos += int64(len(b))
			})
			return err
		}); err != nil {
			return nil, err
		}
	}
	return sm, nil
}

// blocksIn are the blocks that the ranges touch, ascending.
func blocksIn(ranges [][2]int64) []int64 {
	var blocks []int64
	for _, r := range ranges {
		for b := r[0] / protocol.BlockSize; b*protocol.BlockSize < r[0]+r[1]; b++ {
			blocks = append(blocks, b)
		}
	}
	slices.Sort(blocks)
	return slices.Compact(blocks)
}

// sample is ranges of a content, in memory.
type sample struct {
	pieces []sampled
}

type sampled struct {
	off  int64
	data []byte
}

func newSample(ranges [][2]int64) *sample {
	sm := &sample{}
	for _, r := range ranges {
		sm.pieces = append(sm.pieces, sampled{r[0], make([]byte, r[1])})
	}
	return sm
}

// take keeps what the ranges want of b, which lies at off.
func (sm *sample) take(off int64, b []byte) {
	for _, p := range sm.pieces {
		from, to := max(p.off, off), min(p.off+int64(len(p.data)), off+int64(len(b)))
		if from < to {
			copy(p.data[from-p.off:], b[from-off:to-off])
		}
	}
}

// ReadAt is io.ReaderAt's, within one of the ranges.
func (sm *sample) ReadAt(b []byte, off int64) (int, error) {
	for _, p := range sm.pieces {
		if skip := off - p.off; skip >= 0 && skip < int64(len(p.data)) {
			if n := copy(b, p.data[skip:]); n == len(b) {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%d bytes from %d are not in the sample: %w", len(b), off, io.ErrUnexpectedEOF)
}
