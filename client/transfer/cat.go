package transfer

import (
	"context"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/protocol"
)

// Cat writes a File to w, in order and in pieces of one block, reading ahead
// over the file's connections; it holds at most twice as many blocks in memory
// as the file has connections. A block is verified before any of it is
// written, so that what was written is right even when Cat fails; req.NoVerify
// leaves that out. Content that does not have req.SHA256 is not written to its
// end. An error of w is KindLocalIO and wraps it.
func (e *Engine) Cat(ctx context.Context, req CatRequest, w io.Writer) (Result, error) {
	res, err := e.examine(ctx, req.UID, func(ctx context.Context, f *fetch) error {
		if err := f.knownOther(req.SHA256); err != nil {
			return err
		}
		if !req.NoVerify {
			if err := f.askSums(ctx); err != nil {
				return err
			}
		}
		if req.SHA256 == "" {
			return f.inOrder(ctx, w)
		}
		sum := newSumWriter(w, f, req.SHA256)
		if err := f.inOrder(ctx, sum); err != nil {
			return err
		}
		return sum.check()
	})
	if err == nil {
		res.SHA256 = req.SHA256
	}
	res.Verified = err == nil && !req.NoVerify
	return res, err
}

// examine asks for a File, has work do something with it, and tells what came
// of it: that its content was read and verified, where nothing failed.
func (e *Engine) examine(ctx context.Context, uid protocol.UID, work func(context.Context, *fetch) error) (Result, error) {
	begun := time.Now()
	f := &fetch{e: e, item: e.cfg.Progress.begin()}
	var err error
	if f.file, err = e.file(ctx, &f.tries, uid); err == nil {
		f.item.called(f.file.Name)
		f.item.grow(f.file.Size)
		err = work(ctx, f)
	}
	f.item.end(err == nil)
	res := Result{UID: uid, Name: f.file.Name, Size: f.file.Size, Digest: f.file.Digest, Outcome: Downloaded, Verified: true,
		SentBytes: f.received.Load(), Retries: f.tries.count(), Elapsed: time.Since(begun)}
	if err != nil {
		res.Outcome, res.Verified = Failed, false
		return res, own(ctx, err)
	}
	return res, nil
}

// inOrder fetches blocks in parallel and writes them in order. Each block has
// a place in line from before it is asked for; a buffer goes round from free
// to a fetch to its place, to w and back to free.
func (f *fetch) inOrder(ctx context.Context, w io.Writer) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(f.e.cfg.PartsPerFile + 2) // the fetches, the one that starts them, and the writer
	ahead := 2 * f.e.cfg.PartsPerFile
	line := make(chan chan []byte, ahead)
	free := make(chan []byte, ahead)
	for range ahead {
		free <- nil // allocated when first used
	}
	g.Go(func() error { return f.writeInOrder(ctx, w, line, free) })
	g.Go(func() error {
		defer close(line)
		for i := range int(protocol.BlockCount(f.file.Size)) {
			var buf []byte
			select {
			case buf = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			place := make(chan []byte, 1)
			line <- place // never blocks: a place for each buffer
			g.Go(func() error { return f.fetchBlock(ctx, i, buf, place) })
		}
		return nil
	})
	return g.Wait()
}

func (f *fetch) fetchBlock(ctx context.Context, i int, buf []byte, place chan<- []byte) error {
	off, n := blockRange(f.file.Size, i)
	if buf == nil {
		buf = make([]byte, min(protocol.BlockSize, f.file.Size))
	}
	buf = buf[:n]
	err := f.run(ctx, run{i, i + 1}, blockBuffer{off, buf})
	if err == nil {
		place <- buf
	}
	return err
}

func (f *fetch) writeInOrder(ctx context.Context, w io.Writer, line <-chan chan []byte, free chan<- []byte) error {
	for place := range line {
		select {
		case buf := <-place:
			if _, err := w.Write(buf); isKind(err, protocol.KindIntegrity) {
				return err
			} else if err != nil {
				return &protocol.Error{Kind: protocol.KindLocalIO, Message: "what was read could not be written on", Err: err}
			}
			free <- buf[:cap(buf)]
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// blockBuffer is a sink of one block, which it has where it was read to.
type blockBuffer struct {
	off int64
	buf []byte
}

func (b blockBuffer) room(off, n int64) []byte {
	return b.buf[off-b.off:][:min(n, copyBuffer)] // little enough to be hashed from the core's cache
}

func (blockBuffer) fill([]byte, int64) error { return nil }
