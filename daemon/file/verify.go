package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// readSize is how much is read at once for a check: enough to make calls
// rare, little enough to stay in the core's cache until it is hashed.
const readSize = 256 << 10

// storeReadSize is readSize of stores that are not files: what is read of them may
// wait for a slow client, a thousand of whom are to cost little, and comes in small
// pieces anyway.
const storeReadSize = 32 << 10

// verify makes sure that the block matches its record, by reading it unless
// that was done lately. A block that does not match is a *damage.
func (c *Content) verify(ctx context.Context, block int64) error {
	if known, err := c.known(ctx, block); known || err != nil {
		return err
	}
	return c.pass(ctx, block)
}

// pass is verify whatever was done lately.
func (c *Content) pass(ctx context.Context, block int64) error {
	at := c.s.cfg.Clock()
	var kept []byte
	lies, err := c.compare(ctx, block, func(b []byte) {
		if c.small() {
			kept = append(kept, b...)
		}
	})
	if err != nil {
		return err
	}
	if c.small() {
		c.s.smalls.put(lies, kept)
	}
	if c.s.cfg.Verify == VerifyFirst {
		c.s.seen.add(lies, at)
	}
	c.passed = block
	return nil
}

// compare reads the block, shows tap its bytes in order, some at a time, and
// compares them with the record; only after nil may what tap saw be used. It
// says where the block lay. A block that does not match is a *damage.
func (c *Content) compare(ctx context.Context, block int64, tap func([]byte)) (place, error) {
	rec, err := c.record(ctx, block)
	if err != nil {
		return place{}, err
	}
	ps := c.blockPieces(block)
	var h protocol.XXH3Hasher
	for _, p := range ps {
		if err := c.read(ctx, block, p, func(b []byte) error {
			_, _ = h.Write(b) // hashes do not fail
			tap(b)
			return nil
		}); err != nil {
			return place{}, err
		}
	}
	if h.Sum() != rec.XXH3 {
		return place{}, mismatch(block, h.Sum(), rec.XXH3)
	}
	return placeOf(ps, rec.XXH3), nil
}

// known reports whether the block needs no check now.
func (c *Content) known(ctx context.Context, block int64) (bool, error) {
	switch {
	case c.s.cfg.Verify == VerifyOff, c.passed == block:
		return true, nil
	case c.s.cfg.Verify == VerifyAlways:
		return false, nil
	}
	rec, err := c.record(ctx, block)
	if err != nil {
		return false, err
	}
	return c.s.seen.has(placeOf(c.blockPieces(block), rec.XXH3)), nil
}

// record is what is recorded of the block.
func (c *Content) record(ctx context.Context, block int64) (protocol.Block, error) {
	if i := block - c.firstRecord; i >= 0 && i < int64(len(c.records)) {
		return c.records[i], nil
	}
	first := block / blocksAtOnce * blocksAtOnce
	count := min(blocksAtOnce, protocol.BlockCount(c.Size())-first)
	records, err := blocksOf(ctx, c.s.cfg.Meta, c.id, first, count)
	if err != nil {
		return protocol.Block{}, err
	}
	c.records, c.firstRecord = records, first
	if count == protocol.BlockCount(c.Size()) {
		c.s.records.put(c.id, records)
	}
	return records[block-first], nil
}

func (c *Content) blockPieces(block int64) []layout.Piece {
	start := block * protocol.BlockSize
	return c.where.Pieces(start, blockEnd(block, c.Size())-start)
}

// readTries is how often a piece is gone on with where the store fails in the
// middle of it. The store has its own retries; these are for what came after
// its answer had begun.
const readTries = 2

// read calls f with the bytes of p in order, some at a time. What ends early
// or is not there is a *damage of the block. An error of f is returned as it
// is.
func (c *Content) read(ctx context.Context, block int64, p layout.Piece, f func([]byte) error) error {
	for try := 0; ; try++ {
		n, err := c.readOn(ctx, block, p, f)
		p.Offset, p.Length = p.Offset+n, p.Length-n
		if protocol.KindOf(err) != protocol.KindStoreUnavailable || try == readTries || p.Length == 0 || holder.Of(err) != nil {
			return err
		}
	}
}

// readOn is read until something fails; n is how much f was given.
func (c *Content) readOn(ctx context.Context, block int64, p layout.Piece, f func([]byte) error) (n int64, err error) {
	r, closeReader, err := c.reader(ctx, p)
	if err != nil {
		return 0, c.readError(ctx, block, p, err)
	}
	defer closeReader()
	buf, give := c.buffer(p)
	defer give()
	for n < p.Length {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := io.ReadFull(r, buf[:min(p.Length-n, int64(len(buf)))])
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, c.readError(ctx, block, p, err)
		}
		if err := f(buf[:m]); err != nil {
			return n, err
		}
		n += int64(m)
	}
	return n, nil
}

// buffer is what p is read into, until it is given back.
func (c *Content) buffer(p layout.Piece) (buf []byte, give func()) {
	if !c.isFile(p) {
		b, _ := c.s.pieces.Get().(*[storeReadSize]byte)
		return b[:], func() { c.s.pieces.Put(b) }
	}
	b, _ := c.s.buffers.Get().(*[readSize]byte)
	return b[:], func() { c.s.buffers.Put(b) }
}

// reader reads the bytes of p: by the request's own descriptor where they are
// a file, whose offset it leaves alone.
func (c *Content) reader(ctx context.Context, p layout.Piece) (io.Reader, func(), error) {
	if r, closeReader, ok := c.begun.take(p); ok {
		return r, closeReader, nil
	}
	st, err := c.store(p)
	if err != nil {
		return nil, nil, err
	}
	if opener, ok := st.FileOpener(); ok {
		f, err := c.open.get(ctx, opener, p.Blob)
		if err != nil {
			return nil, nil, err
		}
		return io.NewSectionReader(f, p.Offset, p.Length), func() {}, nil
	}
	r, err := st.Get(ctx, store.Key(p.Blob.Key), p.Offset, p.Length)
	if err != nil {
		return nil, nil, err
	}
	// What a reader of a store reports when it is closed says nothing of the
	// bytes it gave.
	return r, func() { _ = r.Close() }, nil
}

func (c *Content) store(p layout.Piece) (*store.Store, error) {
	return holder.Find(c.s.cfg.Stores, p.Blob.Store)
}

// probe makes sure that the byte at off can be read.
func (c *Content) probe(ctx context.Context, off int64) error {
	return c.read(ctx, off/protocol.BlockSize, c.where.Pieces(off, 1)[0], func([]byte) error { return nil })
}

func mismatch(block int64, got, want protocol.XXH3) *damage {
	return &damage{block: block, err: fmt.Errorf("block %d reads with XXH3 %s, recorded is %s", block, got, want)}
}

// maxPatience bounds how long a caller is told to wait for a store.
const maxPatience = time.Minute

// readError tells bytes that are not there or cannot be read, ever, from a
// store that fails now. A file that ends early is too short; of an object that
// is, the store says so before its first byte, and a body that breaks off says
// nothing of it.
func (c *Content) readError(ctx context.Context, block int64, p layout.Piece, err error) error {
	err = fmt.Errorf("read %d bytes at %d of %s in store %q: %w", p.Length, p.Offset, p.Blob.Key, p.Blob.Store, err)
	switch {
	case ctx.Err() != nil, holder.Of(err) != nil:
		return err
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRange),
		c.isFile(p) && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EIO)):
		return &damage{block: block, err: err}
	}
	e := &protocol.Error{Kind: protocol.KindStoreUnavailable, Message: "the bytes of this File cannot be read now; they are not known to be damaged",
		Hint: "Try again; if it goes on, look at the daemon's log for what the store says.", Err: err}
	if busy, ok := errors.AsType[*store.BusyError](err); ok {
		e.RetryAfter = min(busy.After, maxPatience)
	}
	return e
}

// isFile reports whether the bytes of p are in a file of this machine.
func (c *Content) isFile(p layout.Piece) bool {
	st, err := c.store(p)
	if err != nil {
		return false // and reading will say why
	}
	_, ok := st.FileOpener()
	return ok
}
