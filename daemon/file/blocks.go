package file

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

// blocksAtOnce is how many records of blocks are read from the metadata at
// once: 64 KiB of them, for 4 GiB of content.
const blocksAtOnce = 1024

// BlockList is the block digests of a File's Content: 32 raw bytes each, in
// order (WIRE 8). It holds nothing that needs closing.
type BlockList struct {
	meta Records
	file protocol.File
	id   meta.ContentID
}

// Blocks is the BlockList of the File uid. KindDigestPending: the digest job
// has not run yet.
func (s *Service) Blocks(ctx context.Context, owner protocol.Owner, uid protocol.UID) (*BlockList, error) {
	f, c, err := s.cfg.Meta.Content(ctx, owner, uid)
	if err != nil {
		return nil, err
	}
	if c.Refused {
		return nil, refusedError()
	}
	if c.Digest == nil {
		return nil, &protocol.Error{Kind: protocol.KindDigestPending, Message: "the digest of this File is still being computed",
			Hint: "Ask again later; the content itself can be read now."}
	}
	return &BlockList{meta: s.cfg.Meta, file: f, id: c.ID}, nil
}

// File is the File whose blocks these are.
func (l *BlockList) File() protocol.File { return l.file }

// Size is the length of the list in bytes.
func (l *BlockList) Size() int64 { return protocol.BlockCount(l.file.Size) * sha256.Size }

// WriteRange writes n bytes of the list from off. A range that does not lie in
// the list is KindRange.
func (l *BlockList) WriteRange(ctx context.Context, w io.Writer, off, n int64) error {
	if err := checkRange(l.Size(), off, n); err != nil {
		return err
	}
	buf := make([]byte, 0, blocksAtOnce*sha256.Size)
	for n > 0 {
		first := off / sha256.Size
		count := min(blocksAtOnce, (off+n-1)/sha256.Size-first+1)
		blocks, err := blocksOf(ctx, l.meta, l.id, first, count)
		if err != nil {
			return err
		}
		buf = buf[:0]
		for i := range blocks {
			buf = append(buf, blocks[i].SHA256[:]...)
		}
		part := buf[off-first*sha256.Size:]
		part = part[:min(n, int64(len(part)))]
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("write block digests: %w", err)
		}
		off += int64(len(part))
		n -= int64(len(part))
	}
	return nil
}

// blocksOf reads count records of blocks from first; fewer are an error.
func blocksOf(ctx context.Context, m Records, id meta.ContentID, first, count int64) ([]protocol.Block, error) {
	blocks, err := m.Blocks(ctx, id, first, count)
	if err != nil {
		return nil, err
	}
	if int64(len(blocks)) != count {
		return nil, protocol.Errorf(protocol.KindInternal,
			"the metadata has no record of some blocks of this File; nothing unchecked was sent; ospd fsck names what is wrong")
	}
	return blocks, nil
}

// checkRange refuses n bytes from off where there are size bytes.
func checkRange(size, off, n int64) error {
	if off < 0 || n < 0 || off > size || n > size-off {
		return protocol.Errorf(protocol.KindRange, "there are %d bytes, not %d from byte %d", size, n, off)
	}
	return nil
}
