package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/protocol"
)

// holdBack is how much of a streamed block waits until the block has matched.
const holdBack = 64 << 10

// inFiles reports whether all bytes of the block are in files of this machine.
func (c *Content) inFiles(block int64) bool {
	for _, p := range c.blockPieces(block) {
		if !c.isFile(p) {
			return false
		}
	}
	return true
}

// sendFiles writes the bytes from off to end, which have been checked, and
// returns how many it wrote.
func (c *Content) sendFiles(ctx context.Context, w io.Writer, off, end int64) (int64, error) {
	var sent int64
	for _, p := range c.where.Pieces(off, end-off) {
		n, err := c.sendFile(ctx, w, (off+sent)/protocol.BlockSize, p)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// sendFile writes a piece so that w can use sendfile: w sees the bare file.
func (c *Content) sendFile(ctx context.Context, w io.Writer, block int64, p layout.Piece) (int64, error) {
	st, err := c.store(p)
	if err != nil {
		return 0, c.readError(ctx, block, p, err)
	}
	opener, _ := st.FileOpener()
	f, err := c.open.get(ctx, opener, p.Blob)
	if err != nil {
		return 0, c.readError(ctx, block, p, err)
	}
	if _, err := f.Seek(p.Offset, io.SeekStart); err != nil {
		return 0, c.readError(ctx, block, p, err)
	}
	n, err := io.Copy(w, &io.LimitedReader{R: f, N: p.Length})
	switch {
	case errors.Is(err, syscall.EIO):
		return n, c.readError(ctx, block, p, err)
	case err != nil:
		return n, fmt.Errorf("send content: %w", err)
	case n < p.Length:
		return n, c.readError(ctx, block, p, io.ErrUnexpectedEOF)
	}
	return n, nil
}

// stream writes the bytes from off to end of a block that is not all in files,
// and returns how many it wrote. It reads and checks the whole block on the
// way, unless a part of a block is wanted that is known to be good.
func (c *Content) stream(ctx context.Context, w io.Writer, block, off, end int64) (int64, error) {
	from, to := block*protocol.BlockSize, blockEnd(block, c.Size())
	known, err := c.known(ctx, block)
	if err != nil {
		return 0, err
	}
	out := &heldWriter{w: w}
	if c.s.cfg.Verify == VerifyOff || known && (off > from || end < to) {
		for _, p := range c.where.Pieces(off, end-off) {
			if err := c.read(ctx, block, p, out.pass); err != nil {
				return out.sent, err // where it moved to, it is not known
			}
		}
		return out.sent, nil
	}
	if err := c.streamChecked(ctx, out, block, off, end); err != nil {
		if d, ok := errors.AsType[*damage](err); ok {
			d.sent = out.sent > 0
		}
		return out.sent, err
	}
	err = out.flush()
	return out.sent, err
}

// streamChecked writes the bytes from off to end of the block to out while it
// checks the whole block; nil says that what out holds back may go.
func (c *Content) streamChecked(ctx context.Context, out *heldWriter, block, off, end int64) error {
	rec, err := c.record(ctx, block)
	if err != nil {
		return err
	}
	at, lies := c.s.cfg.Clock(), placeOf(c.blockPieces(block), rec.XXH3)
	var h protocol.XXH3Hasher
	pos := block * protocol.BlockSize
	err = c.fetch(ctx, block, pos, blockEnd(block, c.Size()), func(b []byte) error {
		_, _ = h.Write(b) // hashes do not fail
		first, after := max(off, pos)-pos, min(end-pos, int64(len(b)))
		pos += int64(len(b))
		if first >= after {
			return nil
		}
		return out.write(b[first:after])
	})
	switch {
	case err != nil:
		return err
	case h.Sum() != rec.XXH3:
		return mismatch(block, h.Sum(), rec.XXH3)
	}
	// A block that moved on the way was checked at neither place alone.
	if c.s.cfg.Verify == VerifyFirst && placeOf(c.blockPieces(block), rec.XXH3) == lies {
		c.s.seen.add(lies, at)
	}
	return nil
}

// fetch calls f with the bytes of the block from off to end, in order, some at
// a time. When the content moves meanwhile it goes on at the new place from
// the byte it is at: part of the block may have been sent, and the check of
// the whole of it is still to come.
func (c *Content) fetch(ctx context.Context, block, off, end int64, f func([]byte) error) error {
	for off < end {
		err := c.read(ctx, block, c.where.Pieces(off, end-off)[0], func(b []byte) error {
			off += int64(len(b))
			return f(b)
		})
		if _, damaged := errors.AsType[*damage](err); damaged {
			moved, relocateErr := c.relocate(ctx)
			if relocateErr != nil {
				return relocateErr
			}
			if moved {
				continue
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heldWriter passes on all but the last holdBack bytes that were written to
// it, and those with flush.
type heldWriter struct {
	w    io.Writer
	held []byte
	sent int64
}

func (h *heldWriter) write(b []byte) error {
	if over := len(h.held) + len(b) - holdBack; over > 0 {
		old := min(over, len(h.held))
		if err := h.pass(h.held[:old]); err != nil {
			return err
		}
		h.held = append(h.held[:0], h.held[old:]...)
		if err := h.pass(b[:over-old]); err != nil {
			return err
		}
		b = b[over-old:]
	}
	h.held = append(h.held, b...)
	return nil
}

func (h *heldWriter) flush() error {
	err := h.pass(h.held)
	h.held = nil
	return err
}

func (h *heldWriter) pass(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := h.w.Write(b)
	h.sent += int64(n)
	if err != nil {
		return fmt.Errorf("send content: %w", err)
	}
	return nil
}
