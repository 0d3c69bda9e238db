package file

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/protocol"
)

// begun is a piece of which the first byte has come and the rest is still to be
// read; the zero begun is none.
type begun struct {
	// off is where in the content it begins.
	off   int64
	piece layout.Piece
	r     io.Reader
	close func()
}

// at reports whether there is a piece that begins at off.
func (b *begun) at(off int64) bool { return b.r != nil && b.off == off }

// take gives the piece to who wants just this; one that was begun for something
// else is given up.
func (b *begun) take(p layout.Piece) (io.Reader, func(), bool) {
	if b.r == nil {
		return nil, nil, false
	}
	if b.piece.Blob.Blob != p.Blob.Blob || b.piece.Offset != p.Offset || b.piece.Length != p.Length {
		b.drop()
		return nil, nil, false
	}
	r, closeReader := b.r, b.close
	*b = begun{}
	return r, closeReader, true
}

func (b *begun) drop() {
	if b.r != nil {
		b.close()
		*b = begun{}
	}
}

// checkFetched is Check for a block that is not all in files.
func (c *Content) checkFetched(ctx context.Context, off, end int64) error {
	block := off / protocol.BlockSize
	if !c.small() {
		c.lookAhead(ctx, off, end)
		e, ok := c.ahead.front(off)
		if ok {
			return nil // and WriteRange finds it there
		}
		c.ahead.drop()
		if e != nil {
			if _, damaged := errors.AsType[*damage](e.err); damaged {
				return c.pass(ctx, block) // known or not
			}
		}
	}
	known, err := c.known(ctx, block)
	if err != nil {
		return err
	}
	if !known {
		return c.verify(ctx, block)
	}
	if c.kept() != nil {
		return nil
	}
	return c.begin(ctx, off, min(end, blockEnd(block, c.Size())))
}

// begin asks for what stream sends first of the bytes from off to end, which
// lie in one block that needs no check, and waits for the first byte. The store
// has been patient by then, so that it is asked once.
func (c *Content) begin(ctx context.Context, off, end int64) error {
	p := c.where.Pieces(off, end-off)[0]
	block := off / protocol.BlockSize
	r, closeReader, err := c.reader(ctx, p)
	if err != nil {
		return c.readError(ctx, block, p, err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(r, first); err != nil {
		closeReader()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return c.readError(ctx, block, p, err)
	}
	c.begun = begun{off: off, piece: p, r: io.MultiReader(bytes.NewReader(first), r), close: closeReader}
	return nil
}
