package fsck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// errUnusable: the bytes are in a store that cannot be checked, which is a
// finding of its own.
var errUnusable = errors.New("the store cannot be checked")

// reading is what one worker needs to read and hash, whatever the size of
// what it reads.
type reading struct {
	c   *checker
	h   *protocol.PartHasher
	buf []byte
}

func newReading(c *checker) *reading {
	return &reading{c: c, h: protocol.NewPartHasher(), buf: make([]byte, 256<<10)}
}

// compareBlock reads a block and compares it with all that is recorded of it.
func (r *reading) compareBlock(ctx context.Context, ps []layout.Piece, want protocol.Block) error {
	r.h.Reset()
	for _, p := range ps {
		if err := r.read(ctx, p); err != nil {
			return err
		}
	}
	_, blocks := r.h.Sum()
	switch got := blocks[0]; {
	case got.SHA256 != want.SHA256:
		return fmt.Errorf("its SHA-256 is %x, recorded is %x", got.SHA256, want.SHA256)
	case got.XXH3 != want.XXH3:
		return fmt.Errorf("its XXH3 is %s, recorded is %s", got.XXH3, want.XXH3)
	case got.Head != want.Head:
		return fmt.Errorf("the XXH3 of its head is %s, recorded is %s", got.Head, want.Head)
	}
	return nil
}

// comparePart reads a part and compares it with all that is recorded of it.
func (r *reading) comparePart(ctx context.Context, p layout.Piece, want meta.Part) error {
	r.h.Reset()
	if err := r.read(ctx, p); err != nil {
		return err
	}
	sum, blocks := r.h.Sum()
	switch {
	case sum != want.XXH3:
		return fmt.Errorf("its XXH3 is %s, recorded is %s", sum, want.XXH3)
	case !slices.Equal(blocks, want.Blocks):
		return errors.New("its block digests are not those recorded")
	}
	return nil
}

// read hashes the bytes of p.
func (r *reading) read(ctx context.Context, p layout.Piece) error {
	st := r.c.store(p.Blob.Store)
	if st == nil {
		return errUnusable
	}
	rc, err := st.Get(ctx, store.Key(p.Blob.Key), p.Offset, p.Length)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{r.h}, struct{ io.Reader }{rc}, r.buf)
	if err := errors.Join(err, rc.Close()); err != nil {
		return err
	}
	if n != p.Length {
		return fmt.Errorf("%d bytes were read of %d", n, p.Length)
	}
	r.c.count(func(c *Counts) { c.BytesRead += n })
	return nil
}
