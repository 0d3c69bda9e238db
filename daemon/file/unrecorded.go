package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// Unrecorded reads a content whose digest is not known, and so nothing of its
// blocks, from its first byte to its last. Each extent is compared with its
// XXH3, where it has one, but only once its bytes were given. pass is called
// before the first byte and makes what takes them; where they were moved
// meanwhile, or did not read as recorded, it is called again and the reading
// begins anew. gen is that of the content where all was read.
//
// Errors are those of Content.WriteRange, and of what takes the bytes.
// KindNotFound: the content is gone.
func (s *Service) Unrecorded(ctx context.Context, id meta.ContentID, pass func() func([]byte) error) (gen int64, err error) {
	extents, gen, err := s.cfg.Meta.Extents(ctx, id)
	if err != nil {
		return 0, err
	}
	mc := meta.Content{ID: id, Gen: gen, Extents: extents}
	for _, e := range extents {
		mc.Size += e.Length
	}
	c, err := s.content(ctx, protocol.File{Size: mc.Size}, mc)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	err = c.settle(ctx, func() error { return c.extents(ctx, pass()) })
	return c.gen, err
}

// extents gives all bytes of the content to take. What does not match an XXH3
// is a *damage, of the block where the extent begins.
func (c *Content) extents(ctx context.Context, take func([]byte) error) error {
	var off int64
	for _, p := range c.where.Pieces(0, c.Size()) {
		if err := c.extent(ctx, off/protocol.BlockSize, p, take); err != nil {
			return err
		}
		off += p.Length
	}
	return nil
}

func (c *Content) extent(ctx context.Context, block int64, p layout.Piece, take func([]byte) error) error {
	if err := c.unchanged(ctx, p, block*protocol.BlockSize); err != nil {
		return err
	}
	var h protocol.XXH3Hasher
	if err := c.read(ctx, block, p, func(b []byte) error {
		_, _ = h.Write(b) // hashes do not fail
		return take(b)
	}); err != nil {
		return err
	}
	if err := c.unchanged(ctx, p, block*protocol.BlockSize); err != nil {
		return err
	}
	if want := p.Blob.XXH3; want != nil && h.Sum() != *want {
		return &damage{block: block, err: fmt.Errorf("%d bytes at %d of %s in store %q read with XXH3 %s, recorded is %s",
			p.Length, p.Offset, p.Blob.Key, p.Blob.Store, h.Sum(), want)}
	}
	return nil
}
