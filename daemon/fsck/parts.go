package fsck

import (
	"context"
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// part checks a part that an open upload holds.
func (c *checker) part(ctx context.Context, uid protocol.UID, p meta.Part) error {
	c.count(func(n *Counts) { n.Parts++ })
	if got, want := int64(len(p.Blocks)), protocol.BlockCount(p.Length); got != want {
		c.ofPart(uid, p, fmt.Sprintf("%d blocks are recorded of %d", got, want))
		return nil
	}
	err := c.partBytes(ctx, p)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, errUnusable):
	case p.BootID != "" && p.BootID != c.cfg.BootID:
		c.pending(p.Store, p.Key, fmt.Sprintf("part %d of upload %s was not on the disk when the machine went down; the daemon forgets it: %v", p.Number, uid, err))
	default:
		c.ofPart(uid, p, err.Error())
	}
	return nil
}

// partBytes compares the bytes of a part with its record, or, where data is
// not read, looks whether there are as many.
func (c *checker) partBytes(ctx context.Context, p meta.Part) error {
	st := c.store(p.Store)
	if st == nil {
		return errUnusable
	}
	info, err := st.Stat(ctx, store.Key(p.Key))
	if err != nil {
		return err
	}
	if info.Size < p.BlobOffset+p.Length {
		return fmt.Errorf("the object has %d bytes, the part ends at %d", info.Size, p.BlobOffset+p.Length)
	}
	if !c.cfg.ReadData {
		return nil
	}
	e := meta.Extent{Blob: p.Blob, Store: p.Store, Key: p.Key, Offset: p.BlobOffset, Length: p.Length}
	return newReading(c).comparePart(ctx, layout.Piece{Blob: &e, Offset: e.Offset, Length: e.Length}, p)
}

func (c *checker) ofPart(uid protocol.UID, p meta.Part, why string) {
	c.found(Finding{Kind: KindPart, UIDs: []protocol.UID{uid}, Store: p.Store, Key: p.Key,
		Detail: fmt.Sprintf("part %d: %s; send the part again to heal it", p.Number, why)})
}
