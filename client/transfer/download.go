package transfer

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/osproxy/osproxy/protocol"
)

// oneBlock: one request brings the whole file, so that there is nothing to go
// on with.
func (g *get) oneBlock() bool { return g.fetch.file.Size <= protocol.BlockSize }

// remember writes the transfer to disk before the first byte is asked for.
func (g *get) remember(ctx context.Context) (err error) {
	if g.lease != nil {
		g.record.Attempts++
		g.record.IfExists, g.record.NoVerify, g.record.SHA256 = g.req.IfExists, g.req.NoVerify, g.req.SHA256
		g.part = partPath(g.target.name, g.record.ID)
		g.record.Target = g.target.pathOf(g.part)
		return g.lease.save(g.record)
	}
	id := newID()
	g.part = partPath(g.target.name, id)
	if g.e.cfg.State == nil {
		return nil
	}
	caps, err := g.e.capabilities(ctx, &g.fetch.tries)
	if err != nil {
		return err
	}
	g.record = &Transfer{ID: id, Kind: DirectionGet, ServerID: caps.ServerID, Server: g.e.cfg.Client.Server(), UID: g.req.UID,
		Path: g.target.path(), Name: g.fetch.file.Name, Size: g.fetch.file.Size, Target: g.target.pathOf(g.part),
		Below: g.req.In.path(), IfExists: g.req.IfExists, NoVerify: g.req.NoVerify, SHA256: g.req.SHA256, Attempts: 1}
	g.lease, err = g.e.cfg.State.create(g.record, !g.oneBlock())
	return err
}

// download fills the part file and makes it the target.
func (g *get) download(ctx context.Context) error {
	if err := g.target.prepare(); err != nil {
		return err
	}
	if g.openLoose(); g.loose != nil {
		defer g.loose.close()
	} else if err := g.remember(ctx); err != nil {
		return err
	}
	if !g.req.NoVerify {
		if err := g.fetch.askSums(ctx); err != nil {
			return err
		}
	}
	if g.loose == nil {
		if err := g.open(); err != nil {
			return err
		}
		defer g.f.Close()
	}
	missing, err := g.missing(ctx)
	if err != nil {
		return err
	}
	if err := g.fetchAll(ctx, missing); err != nil {
		return err
	}
	return g.finish(ctx)
}

// openLoose opens a file without a name for what one request brings, where
// nothing is to be gone on with or replaced: there is then nothing to remember,
// and nothing is left by a run that is killed.
func (g *get) openLoose() {
	if g.lease != nil || !g.oneBlock() || g.req.IfExists == ExistsOverwrite {
		return
	}
	if g.loose = g.e.loose(g.target); g.loose != nil {
		g.f, g.blank = g.loose.File, true
	}
}

// open makes the part file, or opens the one of an earlier run, and gives it
// its full length.
func (g *get) open() (err error) {
	path := g.target.pathOf(g.part)
	_, err = g.target.root.Lstat(g.part)
	g.blank = errors.Is(err, fs.ErrNotExist)
	if g.f, err = g.target.root.OpenFile(g.part, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return g.target.failed("make "+path, err)
	}
	if err := g.f.Truncate(g.fetch.file.Size); err != nil {
		g.f.Close()
		return localError("make room for "+g.target.path(), err)
	}
	return nil
}

// missing are the blocks the part file does not hold. In a blank one none is
// looked for, and without their digests none can be told to be there.
func (g *get) missing(ctx context.Context) ([]int, error) {
	size := g.fetch.file.Size
	if g.blank || g.fetch.sums == nil {
		all := make([]int, protocol.BlockCount(size))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	missing, err := missingBlocks(ctx, g.f, size, g.fetch.sums)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, localError("check "+g.target.pathOf(g.part), err)
	}
	held := size
	for _, i := range missing {
		_, n := blockRange(size, i)
		held -= n
	}
	g.fetch.item.held(held)
	g.res.ResumedBytes = held
	return missing, nil
}

func (g *get) fetchAll(ctx context.Context, missing []int) error {
	runs := plan(missing, g.e.cfg.PartsPerFile)
	return parallel(ctx, g.e.cfg.PartsPerFile, len(runs), func(ctx context.Context, buf []byte, i int) error {
		return g.fetch.run(ctx, runs[i], &partSink{g: g, buf: buf, early: len(runs) > 1})
	})
}

// partSink is a sink that writes to the part file.
type partSink struct {
	g     *get
	buf   []byte
	early bool // each block begins its way to the disk when it has come
}

func (s *partSink) room(_, n int64) []byte { return s.buf[:min(n, int64(len(s.buf)))] }

func (s *partSink) fill(p []byte, off int64) error {
	if _, err := s.g.f.WriteAt(p, off); err != nil {
		return localError("write what is to be "+s.g.target.path(), err)
	}
	if end := off + int64(len(p)); s.early && end%protocol.BlockSize == 0 {
		beginWriteback(s.g.f, end-protocol.BlockSize, protocol.BlockSize)
	}
	return nil
}
