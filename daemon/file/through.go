package file

import (
	"context"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Reading reads a content through for no File: to compare it with its record,
// or to compute something over its bytes. It follows bytes that are moved, is
// for one goroutine, holds at most a block in memory, and must be closed.
type Reading struct {
	c *Content
	// gen is that of the content when the reading began.
	gen int64
	// damaged: it was marked then.
	damaged bool
	// buf is one of the Service's blocks, nil while none was needed.
	buf *[]byte
}

// Through begins to read a content, damaged ones too. KindNotFound: it is gone. A
// *holder.Elsewhere: another node has it.
// A content whose digest is unknown has no record to compare with: of it Block
// and Check are KindDigestPending.
func (s *Service) Through(ctx context.Context, id meta.ContentID) (*Reading, error) {
	mc, err := s.cfg.Meta.ContentOf(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := s.content(ctx, protocol.File{Size: mc.Size}, mc)
	if err != nil {
		return nil, err
	}
	return &Reading{c: c, gen: mc.Gen, damaged: mc.State == meta.ContentDamaged}, nil
}

// Size is the length of the content in bytes.
func (r *Reading) Size() int64 { return r.c.Size() }

// Blocks is how many blocks the content has.
func (r *Reading) Blocks() int64 { return protocol.BlockCount(r.c.Size()) }

// Length is that of the block, counted from 0.
func (r *Reading) Length(block int64) int64 {
	return blockEnd(block, r.c.Size()) - block*protocol.BlockSize
}

// Gen is that of the content as it was when it was looked at last: at the
// beginning, or when its bytes were found to have moved.
func (r *Reading) Gen() int64 { return r.c.gen }

// Moved reports whether bytes were found to have moved since the reading began,
// or to have been healed or marked once more.
// What was read is the content's all the same; but of the place where it lies
// now nobody can say that all of it was read.
func (r *Reading) Moved() bool { return r.c.gen != r.gen }

// Damaged reports whether the content was marked as damaged when the reading
// began. What is read says whether it still is.
func (r *Reading) Damaged() bool { return r.damaged }

// InStores reports whether all bytes lie in stores for which ok holds.
func (r *Reading) InStores(ok func(store string) bool) bool {
	for _, p := range r.c.where.Pieces(0, r.c.Size()) {
		if !ok(p.Blob.Store) {
			return false
		}
	}
	return true
}

// Check reads a block and compares it with its record, whatever passed before.
// Its errors are those of Content.WriteRange: KindContentCorrupt has been
// recorded.
func (r *Reading) Check(ctx context.Context, block int64) error {
	return r.c.settle(ctx, func() error {
		_, err := r.c.compare(ctx, block, func([]byte) {})
		return err
	})
}

// Block is Check that gives the block's bytes, which are good until the next
// call and only then: nothing of a block that does not match is given.
func (r *Reading) Block(ctx context.Context, block int64) ([]byte, error) {
	if r.buf == nil {
		r.buf = r.c.s.blocks.Get().(*[]byte)
	}
	err := r.c.settle(ctx, func() error {
		*r.buf = (*r.buf)[:0]
		_, err := r.c.compare(ctx, block, func(b []byte) { *r.buf = append(*r.buf, b...) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return *r.buf, nil
}

// Close gives back what the Reading holds, the bytes of a block among it.
func (r *Reading) Close() error {
	if r.buf != nil {
		r.c.s.blocks.Put(r.buf)
		r.buf = nil
	}
	return r.c.Close()
}
