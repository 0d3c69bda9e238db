package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// Objects that are not ours may be replaced at any time, also while they are
// read: what a store goes on with after a break may be another object's. While
// nothing is known of their blocks only the tag tells. A reading counts when
// the object is, after its last byte, in the state that it was imported in.

// errReplaced: others changed the object of which a file was made.
var errReplaced = errors.New("the object was changed by others since the File was made of it")

// unchanged makes sure that the object in which the extent lies, which begins
// at start, is still the one of which the file was made. It is nil for objects
// of ours, and a *damage where another one is there, or none.
func (c *Content) unchanged(ctx context.Context, p layout.Piece, start int64) error {
	name, foreign := store.Key(p.Blob.Key).Foreign()
	if !foreign || p.Blob.Tag == "" {
		return nil
	}
	block := start / protocol.BlockSize
	st, err := c.store(p)
	if err != nil {
		return c.readError(ctx, block, p, err)
	}
	b, ok := st.Browser()
	if !ok {
		return c.readError(ctx, block, p, fmt.Errorf("describe: %w", store.ErrUnsupported))
	}
	f, err := b.Describe(ctx, name)
	if err != nil {
		return c.readError(ctx, block, p, err)
	}
	if f.Tag != p.Blob.Tag {
		return &damage{block: block, off: start, err: fmt.Errorf("%q in store %q: %w", name, p.Blob.Store, errReplaced)}
	}
	return nil
}

// sendForeign writes the bytes from off to stop of an extent that begins at
// start in an object of others, and holds back the last ones until the object
// was found to be the same still.
func (c *Content) sendForeign(ctx context.Context, out *heldWriter, start, off, stop int64) (int64, error) {
	p := c.where.Pieces(off, stop-off)[0]
	err := c.read(ctx, off/protocol.BlockSize, p, out.write)
	if err == nil {
		err = c.unchanged(ctx, p, start)
	}
	if err == nil {
		err = out.flush()
	}
	if d, ok := errors.AsType[*damage](err); ok {
		d.off, d.sent = start, out.sent > 0
	}
	return out.sent, err
}
