package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/osproxy/osproxy/daemon/holder"
	"github.com/osproxy/osproxy/daemon/layout"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
)

const (
	// maxRun bounds what is sent without a look at the context.
	maxRun = 64 << 20
	// markTimeout bounds the recording of damage, which must not be lost
	// because the reader that met it went away.
	markTimeout = 10 * time.Second
)

// Content is the bytes of a File, for one request: it has file descriptors of
// its own, is not safe for concurrent use, and must be closed. It goes on
// giving the same bytes while they are moved to other blobs, and while the
// File is being deleted as long as its blobs are in their grace period.
type Content struct {
	s    *Service
	file protocol.File
	id   meta.ContentID
	// gen is that of the content at which where was read.
	gen   int64
	where layout.Layout
	open  descriptors
	ahead ahead
	begun begun
	// records are those of the blocks from firstRecord.
	records     []protocol.Block
	firstRecord int64
	// passed is a block that passed in this request, where it lies now; -1
	// is none.
	passed int64
	// pending: the digest is not known yet, and so nothing of the blocks.
	pending bool
}

// damage is what is wrong with the bytes of a block, as opposed to what went
// wrong with reading or sending them.
type damage struct {
	block int64
	// off is where the extent begins, while nothing is known of blocks.
	off int64
	err error
	// sent: bytes of the block have left unchecked, so that no other copy of
	// it can help this request.
	sent bool
}

func (d *damage) Error() string { return d.err.Error() }
func (d *damage) Unwrap() error { return d.err }

// Open opens the bytes of the File uid, also while their digest is not known.
// KindContentCorrupt: damage was found earlier and the content has not been healed
// since. A *holder.Elsewhere, of which nothing was read: they lie on another node's
// disk.
func (s *Service) Open(ctx context.Context, owner protocol.Owner, uid protocol.UID) (*Content, error) {
	f, mc, err := s.cfg.Meta.Content(ctx, owner, uid)
	if err != nil {
		return nil, err
	}
	if mc.Refused {
		return nil, refusedError()
	}
	if mc.State == meta.ContentDamaged {
		return nil, corruptError(errors.New("the content is marked as damaged"))
	}
	c, err := s.content(ctx, f, mc)
	if err != nil {
		return nil, err
	}
	c.pending = mc.Digest == nil && mc.Size > 0
	return c, nil
}

// content makes the Content that reads mc for the File f.
func (s *Service) content(ctx context.Context, f protocol.File, mc meta.Content) (*Content, error) {
	if err := holder.All(s.cfg.Stores, mc.Extents); err != nil {
		return nil, err
	}
	c := &Content{s: s, file: f, id: mc.ID, gen: mc.Gen, records: s.records.get(mc.ID), passed: -1}
	var err error
	c.where, err = layout.New(f.Size, mc.Extents)
	if err != nil {
		return nil, c.corrupt(ctx, &damage{err: err})
	}
	return c, nil
}

// File is the File as it was when it was opened.
func (c *Content) File() protocol.File { return c.file }

// Size is the length of the content in bytes.
func (c *Content) Size() int64 { return c.file.Size }

// Close gives back what the Content holds.
func (c *Content) Close() error {
	c.ahead.drop()
	c.begun.drop()
	return c.open.closeAll()
}

// Check looks at the first block of n bytes from off as WriteRange would
// before it sends anything, so that what is wrong there can still be answered
// with a status. Of a block that is known to be good and lies in a store it has
// what is sent first: a store that cannot be read now is told of here, too. What
// it fetched WriteRange does not fetch again, but for the check of a block that
// there is no room for. Its errors are those of WriteRange.
func (c *Content) Check(ctx context.Context, off, n int64) error {
	if err := checkRange(c.Size(), off, n); err != nil || n == 0 {
		return err
	}
	return c.settle(ctx, func() error {
		if c.pending {
			return c.checkPending(ctx, off)
		}
		block := off / protocol.BlockSize
		if c.inFiles(block) {
			if c.s.cfg.Verify == VerifyOff {
				return c.probe(ctx, off)
			}
			return c.verify(ctx, block)
		}
		return c.checkFetched(ctx, off, off+n)
	})
}

// WriteRange writes n bytes from off. No byte of a block is written before the
// block has matched its record, but for blocks in stores that are not files of
// this machine, where there is no room to read them ahead: of these all but the
// last 64 KiB may have been written when it is found that they do not match. Of a
// content whose digest is not known yet the same holds of its extents, as far as
// there is a record of them (pending.go). In any case an error means that the reader has not got what it asked for and
// that the response must be cut.
//
// A w that is an io.ReaderFrom is given *io.LimitedReader over *os.File where
// the bytes are a file, and so can use sendfile.
//
// KindRange: the range does not lie in the content. KindContentCorrupt: damage
// was found; it is recorded and logged. KindStoreUnavailable: the bytes cannot
// be read now. KindNotFound: the File was deleted and its bytes are gone. Any
// other error is w's or the context's.
func (c *Content) WriteRange(ctx context.Context, w io.Writer, off, n int64) error {
	if err := checkRange(c.Size(), off, n); err != nil {
		return err
	}
	end := off + n
	return c.settle(ctx, func() error {
		for off < end {
			if err := ctx.Err(); err != nil {
				return err
			}
			sent, err := c.writeSome(ctx, w, off, end)
			off += sent
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// writeSome writes a beginning of the range: at least a part of its first
// block, unless it fails.
func (c *Content) writeSome(ctx context.Context, w io.Writer, off, end int64) (int64, error) {
	if c.pending {
		return c.writePending(ctx, w, off, end)
	}
	block := off / protocol.BlockSize
	files := c.inFiles(block)
	if c.begun.at(off) {
		return c.stream(ctx, w, block, off, min(end, blockEnd(block, c.Size())))
	}
	if !files && !c.small() {
		if n, done, err := c.writeAhead(ctx, w, off, end); done {
			return n, err
		}
		return c.stream(ctx, w, block, off, min(end, blockEnd(block, c.Size())))
	}
	if err := c.verify(ctx, block); err != nil {
		return 0, err
	}
	if b := c.kept(); b != nil {
		n, err := w.Write(b[off:end])
		if err != nil {
			err = fmt.Errorf("send content: %w", err)
		}
		return int64(n), err
	}
	if !files {
		return c.stream(ctx, w, block, off, end)
	}
	stop := min(end, blockEnd(block, c.Size()))
	for stop < end && stop-off < maxRun {
		next := stop / protocol.BlockSize
		known, err := c.known(ctx, next)
		if err != nil {
			return 0, err
		}
		if !known || !c.inFiles(next) {
			break
		}
		stop = min(end, blockEnd(next, c.Size()))
	}
	return c.sendFiles(ctx, w, off, stop)
}

// settle calls f again where it fails for damage that may not be one: when the
// content has moved since, what was deleted or is damaged is no longer the
// content's; and a second reading must confirm what the first one said, since
// damage, once recorded, ends all reading.
func (c *Content) settle(ctx context.Context, f func() error) error {
	doubted := int64(-1)
	for {
		err := f()
		d, damaged := errors.AsType[*damage](err)
		if !damaged {
			return err
		}
		moved, err := c.relocate(ctx)
		switch {
		case err != nil:
			return err
		case d.sent && moved:
			return &protocol.Error{Kind: protocol.KindStoreUnavailable,
				Message: "a damaged block was met after part of it had been sent, and has been healed since; the answer was cut off",
				Hint:    "Ask again for what is missing.", Err: d}
		case d.sent:
			return c.confirm(ctx, d)
		case !moved && d.block == doubted:
			return c.corrupt(ctx, d)
		case !moved:
			c.s.cfg.Logger.WarnContext(ctx, "a block did not read as recorded and is read again",
				c.name(), slog.Int64("block", d.block), slog.Any("error", d.err))
			doubted = d.block
		}
	}
}

// confirm reads a block again that did not match after part of it had left.
// Whatever it reads now, the answer is cut.
func (c *Content) confirm(ctx context.Context, d *damage) error {
	err := c.again(ctx, d)
	if again, damaged := errors.AsType[*damage](err); damaged {
		return c.corrupt(ctx, again)
	}
	if err != nil {
		return err
	}
	return &protocol.Error{Kind: protocol.KindStoreUnavailable,
		Message: "a block arrived damaged from the store, where it is sound, after part of it had been sent; the answer was cut off",
		Hint:    "Ask again for what is missing.", Err: d}
}

// again reads what did not match once more.
func (c *Content) again(ctx context.Context, d *damage) error {
	if !c.pending {
		_, err := c.compare(ctx, d.block, func([]byte) {})
		return err
	}
	p, start := c.extentAt(d.off)
	if p.Blob.XXH3 == nil {
		return c.unchanged(ctx, p, start)
	}
	return c.passExtent(ctx, p, start, func([]byte) error { return nil })
}

// relocate asks the metadata where the content lies now, and reports whether
// that is elsewhere than before.
func (c *Content) relocate(ctx context.Context) (bool, error) {
	extents, gen, err := c.s.cfg.Meta.Extents(ctx, c.id)
	if err != nil {
		return false, err
	}
	c.gen = gen
	if err := c.stillPending(ctx); err != nil {
		return false, err
	}
	where, err := layout.New(c.Size(), extents)
	if err != nil {
		return false, c.corrupt(ctx, &damage{err: err})
	}
	if where.Same(c.where) {
		return false, nil
	}
	c.where = where
	c.passed = -1
	return true, c.open.closeAll()
}

// corrupt records the damage and makes the error that tells of it.
func (c *Content) corrupt(ctx context.Context, d *damage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer cancel()
	log := c.s.cfg.Logger.With(c.name(), slog.Int64("block", d.block))
	log.ErrorContext(ctx, "content is corrupt; it is served no more until the same file is put again", slog.Any("error", d.err))
	c.s.cfg.Corrupt(Corruption{UID: c.file.UID, Block: d.block, Err: d.err})
	if err := c.s.cfg.Meta.MarkDamaged(ctx, c.id, c.gen); err != nil {
		log.ErrorContext(ctx, "damage could not be recorded; the next read will meet it again", slog.Any("error", err))
	}
	return corruptError(d.err)
}

// name is what logs call the Content.
func (c *Content) name() slog.Attr {
	if c.file.UID == 0 {
		return slog.Int64("content", int64(c.id))
	}
	return slog.String("uid", c.file.UID.String())
}

// refusedError is of a File whose bytes are sound, and not those that who put it
// spoke of.
func refusedError() error {
	return &protocol.Error{
		Kind:    protocol.KindContentCorrupt,
		Message: "this File has another MD5 than who put it said, so that something was sent wrong; its bytes are kept and not given",
		Hint:    "Delete the File and put it again, under a new uid.",
	}
}

func corruptError(cause error) error {
	if errors.Is(cause, errReplaced) {
		return &protocol.Error{
			Kind:    protocol.KindContentCorrupt,
			Message: "the object that this File was made of was changed by others, before its digest was known; the answer was refused or cut off, and the File cannot be read any more",
			Hint:    "Delete the File; to have one of the object as it is now, import it again.",
			Err:     cause,
		}
	}
	return &protocol.Error{
		Kind:    protocol.KindContentCorrupt,
		Message: "the bytes in the store are not those that were stored, or are gone; the answer was refused or cut off, and the File cannot be read as it is",
		Hint:    "Put the same file again: that heals every File with this content. On the server, ospd fsck --read-data lists what else is damaged.",
		Err:     cause,
	}
}

// blockEnd is where the block ends in content of size bytes.
func blockEnd(block, size int64) int64 { return min((block+1)*protocol.BlockSize, size) }
