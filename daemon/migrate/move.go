package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/osproxy/osproxy/daemon/crashpoint"
	"github.com/osproxy/osproxy/daemon/file"
	"github.com/osproxy/osproxy/daemon/meta"
	"github.com/osproxy/osproxy/protocol"
	"github.com/osproxy/osproxy/store"
)

// flipTries is how often a content is looked up again that others moved while
// it was copied.
const flipTries = 5

// move copies a content to the target, all of it where a part of it lies in the
// source, and flips it. meta.ErrGenChanged: it was moved again and again
// meanwhile.
func (m *migration) move(ctx context.Context, id meta.ContentID) (err error) {
	r, err := m.cfg.Read.Through(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.InStores(func(name string) bool { return name != m.args.From }) {
		return meta.ErrGenChanged // the next pass sees whether it is elsewhere
	}
	var extents []meta.Extent
	var copied int64
	defer func() {
		m.copied(-copied)
		if err != nil {
			m.giveUp(ctx, extents)
		}
	}()
	perObject := m.cfg.ObjectMax / protocol.BlockSize
	for first := int64(0); first < r.Blocks(); first += perObject {
		e, err := m.copy(ctx, r, first, min(first+perObject, r.Blocks()), &copied)
		if e.Blob != 0 {
			extents = append(extents, e)
		}
		if err != nil {
			return err
		}
	}
	if err := m.flip(ctx, meta.Move{Content: id, Gen: r.Gen(), Extents: extents, Verified: true}); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.MigrateFlipped)
	return nil
}

// flip has the content lie in the target. What was copied is the content's
// wherever that lay, so that it is as good where others moved it meanwhile.
func (m *migration) flip(ctx context.Context, mv meta.Move) error {
	for range flipTries {
		err := m.cfg.Meta.MoveExtents(ctx, mv)
		if !errors.Is(err, meta.ErrGenChanged) {
			return err
		}
		now, gen, err := m.cfg.Meta.Extents(ctx, mv.Content)
		if err != nil {
			return err
		}
		there := false
		for _, e := range now {
			there = there || e.Store == m.args.From
		}
		if !there {
			return meta.ErrGenChanged
		}
		mv.Gen = gen
	}
	return meta.ErrGenChanged
}

// giveUp leaves what was copied to the sweep.
func (m *migration) giveUp(ctx context.Context, extents []meta.Extent) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	for _, e := range extents {
		if err := m.cfg.Meta.DropBlob(ctx, e.Blob); err != nil && !errors.Is(err, meta.ErrLeaseLost) {
			m.log.WarnContext(ctx, "a copy could not be given up; the next attempt does it", "blob", e.Blob, "err", err)
		}
	}
}

// copy makes an object of the blocks from first to end and compares it with what
// was read. The extent names a blob as soon as there is one.
func (m *migration) copy(ctx context.Context, r *file.Reading, first, end int64, copied *int64) (e meta.Extent, err error) {
	e.Store = m.args.To
	e.Length = min(end*protocol.BlockSize, r.Size()) - first*protocol.BlockSize
	key, err := m.cfg.Place.Key(ctx, m.to)
	if err != nil {
		return e, err
	}
	e.Key = string(key)
	if e.Blob, err = m.cfg.Meta.AddJobBlob(ctx, meta.NewBlob{Store: e.Store, Key: e.Key, Size: e.Length}); err != nil {
		return e, err
	}
	src := &blocks{ctx: ctx, m: m, r: r, next: first, end: end, copied: copied}
	if err := m.to.Put(ctx, key, src, e.Length); err != nil {
		if src.err != nil {
			return e, src.err
		}
		return e, err
	}
	crashpoint.Hit(crashpoint.MigrateCopied)
	if err := m.compare(ctx, key, e.Length, src.sums); err != nil {
		return e, err
	}
	crashpoint.Hit(crashpoint.MigrateVerified)
	return e, nil
}

// blocks reads blocks of a content that matched their record, one at a time.
type blocks struct {
	ctx       context.Context
	m         *migration
	r         *file.Reading
	next, end int64
	// left is what is left of the block that was read last.
	left []byte
	sums []protocol.XXH3
	// copied is how many bytes of the content are on their way, or there.
	copied *int64
	// err is why reading failed.
	err error
}

func (b *blocks) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(b.left) == 0 {
		if b.next == b.end {
			return 0, io.EOF
		}
		if b.err = b.block(); b.err != nil {
			return 0, b.err
		}
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *blocks) block() error {
	if err := b.m.pace.Wait(b.ctx, b.r.Length(b.next)); err != nil {
		return err
	}
	block, err := b.r.Block(b.ctx, b.next)
	if err != nil {
		return err
	}
	b.left, b.next = block, b.next+1
	var h protocol.XXH3Hasher
	_, _ = h.Write(block) // hashes do not fail
	b.sums = append(b.sums, h.Sum())
	*b.copied += int64(len(block))
	b.m.copied(int64(len(block)))
	return nil
}

// compare reads an object of the target and compares each block of it.
func (m *migration) compare(ctx context.Context, key store.Key, size int64, sums []protocol.XXH3) (err error) {
	rc, err := m.to.Get(ctx, key, 0, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	for i, want := range sums {
		if err := m.pace.Wait(ctx, 0); err != nil {
			return err
		}
		var h protocol.XXH3Hasher
		length := min(size-int64(i)*protocol.BlockSize, protocol.BlockSize)
		if n, err := io.CopyN(&h, rc, length); err != nil {
			return fmt.Errorf("read %s back from store %q: it ended %d bytes into block %d: %w", key, m.args.To, n, i, err)
		}
		if h.Sum() != want {
			return fmt.Errorf("%s in store %q: block %d reads with XXH3 %s, written was %s: %w", key, m.args.To, i, h.Sum(), want, store.ErrDamaged)
		}
	}
	return nil
}
