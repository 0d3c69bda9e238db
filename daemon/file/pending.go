package file

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/protocol"
)

// While the digest of a content is not known nothing is recorded of its blocks.
// What was received has the XXH3 of each extent instead, and is compared as a
// whole extent; what was imported where it lay has the tag of the object, which
// is compared before the first byte leaves and before the last ones do.

// extentAt is the whole extent in which the byte at off lies, and where in the
// content it begins.
func (c *Content) extentAt(off int64) (p layout.Piece, start int64) {
	at := c.where.Pieces(off, 1)[0]
	return layout.Piece{Blob: at.Blob, Offset: at.Blob.Offset, Length: at.Blob.Length}, off - (at.Offset - at.Blob.Offset)
}

// uncheckable reports whether the extent needs no check now, or can have none.
func (c *Content) uncheckable(p layout.Piece) bool {
	sum := p.Blob.XXH3
	return sum == nil || c.s.cfg.Verify == VerifyOff ||
		c.s.cfg.Verify == VerifyFirst && c.s.seen.has(placeOf([]layout.Piece{p}, *sum))
}

// checkPending is Check for the byte at off: of an extent in a file the whole
// is compared, of an object it is made sure that the byte is there.
func (c *Content) checkPending(ctx context.Context, off int64) error {
	p, start := c.extentAt(off)
	if err := c.unchanged(ctx, p, start); err != nil {
		return err
	}
	if p.Blob.Tag != "" || !c.isFile(p) || c.uncheckable(p) {
		return c.probe(ctx, off)
	}
	return c.passExtent(ctx, p, start, func([]byte) error { return nil })
}

// passExtent calls f with the bytes of a whole extent, in order, and compares
// them with its XXH3; only after nil is what f saw known to be right. Where the
// extent moves as it is meanwhile, it goes on at the new place.
func (c *Content) passExtent(ctx context.Context, p layout.Piece, start int64, f func([]byte) error) error {
	sum, at, lies := *p.Blob.XXH3, c.s.cfg.Clock(), placeOf([]layout.Piece{p}, *p.Blob.XXH3)
	block, moved := start/protocol.BlockSize, false
	var h protocol.XXH3Hasher
	for done := int64(0); done < p.Length; {
		rest := layout.Piece{Blob: p.Blob, Offset: p.Offset + done, Length: p.Length - done}
		err := c.read(ctx, block, rest, func(b []byte) error {
			_, _ = h.Write(b) // hashes do not fail
			done += int64(len(b))
			return f(b)
		})
		if err == nil {
			break
		}
		d, damaged := errors.AsType[*damage](err)
		if !damaged {
			return err
		}
		d.off = start
		anew, relocateErr := c.relocate(ctx)
		if relocateErr != nil {
			return relocateErr
		}
		now, nowStart := c.extentAt(start)
		if !anew || nowStart != start || now.Length != p.Length || now.Blob.XXH3 == nil || *now.Blob.XXH3 != sum {
			return err
		}
		p, moved = now, true
	}
	if got := h.Sum(); got != sum {
		return &damage{block: block, off: start, err: fmt.Errorf("the %d bytes from %d read with XXH3 %s, recorded is %s", p.Length, start, got, sum)}
	}
	if c.s.cfg.Verify == VerifyFirst && !moved {
		c.s.seen.add(lies, at)
	}
	return nil
}

// writePending is writeSome: as much of the range as lies in its first extent.
func (c *Content) writePending(ctx context.Context, w io.Writer, off, end int64) (int64, error) {
	p, start := c.extentAt(off)
	stop := min(end, start+p.Length)
	if c.isFile(p) && p.Blob.Tag == "" {
		return c.sendExtent(ctx, w, p, start, off, stop)
	}
	out := &heldWriter{w: w}
	if p.Blob.Tag != "" {
		return c.sendForeign(ctx, out, start, off, stop)
	}
	if c.uncheckable(p) {
		err := c.read(ctx, off/protocol.BlockSize, c.where.Pieces(off, stop-off)[0], out.pass)
		return out.sent, err
	}
	pos := start
	err := c.passExtent(ctx, p, start, func(b []byte) error {
		first, after := max(off, pos)-pos, min(stop-pos, int64(len(b)))
		pos += int64(len(b))
		if first >= after {
			return nil
		}
		return out.write(b[first:after])
	})
	if err == nil {
		err = out.flush()
	}
	if d, ok := errors.AsType[*damage](err); ok {
		d.sent = out.sent > 0
	}
	return out.sent, err
}

// sendExtent writes the bytes from off to stop of an extent that lies in a
// file.
func (c *Content) sendExtent(ctx context.Context, w io.Writer, p layout.Piece, start, off, stop int64) (sent int64, err error) {
	if !c.uncheckable(p) {
		if err := c.passExtent(ctx, p, start, func([]byte) error { return nil }); err != nil {
			return 0, err
		}
	}
	for err == nil && off+sent < stop && ctx.Err() == nil {
		var n int64
		n, err = c.sendFiles(ctx, w, off+sent, min(stop, off+sent+maxRun))
		sent += n
	}
	return sent, err
}

// stillPending asks whether the digest of the content has become known.
func (c *Content) stillPending(ctx context.Context) error {
	if !c.pending {
		return nil
	}
	_, err := c.s.cfg.Meta.Blocks(ctx, c.id, 0, 1)
	if protocol.KindOf(err) == protocol.KindDigestPending {
		return nil
	}
	c.pending = err != nil
	return err
}
