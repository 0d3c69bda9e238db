package transfer

import (
	"context"
	"crypto/sha256"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/osproxy/osproxy/protocol"
)

// parallel calls work for each of 0 to count-1, in about that order, from at
// most n goroutines, each with a buffer of its own. It returns the first
// error, after all have ended.
func parallel(ctx context.Context, n, count int, work func(ctx context.Context, buf []byte, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(n, count) {
		g.Go(func() error {
			buf := make([]byte, copyBuffer)
			for i := int(next.Add(1) - 1); i < count; i = int(next.Add(1) - 1) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := work(ctx, buf, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// feed writes n bytes of r from off into w through buf. An early end is
// io.ErrUnexpectedEOF.
func feed(ctx context.Context, w io.Writer, r io.ReaderAt, off, n int64, buf []byte) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := buf[:min(n, int64(len(buf)))]
		got, err := r.ReadAt(chunk, off)
		if got < len(chunk) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := w.Write(chunk); err != nil {
			return err
		}
		off += int64(got)
		n -= int64(got)
	}
	return nil
}

// hashWindow is how many blocks are hashed before their digests are folded: 16
// GiB of content for 128 KiB of memory.
const hashWindow = 4096

// digestFile is the digest of size bytes of r, its blocks hashed on all cores.
// done is told of the bytes of each block that is, by several goroutines.
func digestFile(ctx context.Context, r io.ReaderAt, size int64, done func(n int64)) (protocol.Digest, error) {
	return digestWindows(ctx, r, size, hashWindow, done)
}

func digestWindows(ctx context.Context, r io.ReaderAt, size int64, window int, done func(n int64)) (protocol.Digest, error) {
	whole := sha256.New()
	count := int(protocol.BlockCount(size))
	for first := 0; first < count; first += window {
		sums := make([]byte, min(window, count-first)*sha256.Size)
		err := parallel(ctx, workers(), len(sums)/sha256.Size, func(ctx context.Context, buf []byte, i int) error {
			off, n := blockRange(size, first+i)
			sum, err := blockSum(ctx, r, off, n, buf)
			if err == nil {
				copy(sums[i*sha256.Size:], sum[:])
				done(n)
			}
			return err
		})
		if err != nil {
			return protocol.Digest{}, err
		}
		whole.Write(sums)
	}
	return protocol.Digest(whole.Sum(nil)), nil
}

// blockSum is the SHA-256 of n bytes of r from off, read through buf.
func blockSum(ctx context.Context, r io.ReaderAt, off, n int64, buf []byte) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if err := feed(ctx, h, r, off, n, buf); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// blockRange is where block i (from 0) of size bytes lies.
func blockRange(size int64, i int) (off, n int64) {
	off = int64(i) * protocol.BlockSize
	return off, min(protocol.BlockSize, size-off)
}
