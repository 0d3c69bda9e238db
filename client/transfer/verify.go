package transfer

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/osproxy/osproxy/protocol"
)

// Verify reads all of a File's content from the daemon and keeps none of it:
// the block digests must belong to the File's digest, and every block must
// match its own. Content that stays damaged is KindIntegrity, or what the
// daemon calls it. While the digest is not known it is KindDigestPending.
func (e *Engine) Verify(ctx context.Context, uid protocol.UID) (Result, error) {
	return e.examine(ctx, uid, func(ctx context.Context, f *fetch) error {
		if err := f.askList(ctx); err != nil {
			return err
		}
		all := make([]int, protocol.BlockCount(f.file.Size))
		for i := range all {
			all[i] = i
		}
		runs := plan(all, e.cfg.PartsPerFile)
		return parallel(ctx, e.cfg.PartsPerFile, len(runs), func(ctx context.Context, buf []byte, i int) error {
			return f.run(ctx, runs[i], discard(buf))
		})
	})
}

// Compare compares the regular file at path with a File, block by block and
// without its content being sent: its block digests are. That they differ is
// KindIntegrity, and the message names the first block that does.
func (e *Engine) Compare(ctx context.Context, uid protocol.UID, path string) (Result, error) {
	res, err := e.examine(ctx, uid, func(ctx context.Context, f *fetch) error {
		l, err := openLocal(path, toCompare())
		if err != nil {
			return err
		}
		defer l.close()
		if err := f.askSums(ctx); err != nil {
			return err
		}
		first, err := f.firstDifference(ctx, l)
		if err == nil {
			err = l.unchanged()
		}
		if err != nil {
			return err
		}
		return f.differs(l, first)
	})
	res.Path = path
	if err == nil {
		res.Outcome, res.ResumedBytes = AlreadyComplete, res.Size
	}
	return res, err
}

// firstDifference is the number, from 0, of the first block of the File that
// the local file does not have, the number of blocks where there is none.
func (f *fetch) firstDifference(ctx context.Context, l *local) (int, error) {
	count := int(protocol.BlockCount(f.file.Size))
	a := f.item.arrive()
	defer a.end()
	var first atomic.Int64
	first.Store(int64(count))
	err := parallel(ctx, workers(), count, func(ctx context.Context, buf []byte, i int) error {
		if int64(i) > first.Load() {
			return nil
		}
		off, n := blockRange(f.file.Size, i)
		same := false
		if off+n <= l.stamp.Size {
			sum, err := blockSum(ctx, l.f, off, n, buf)
			if err != nil {
				return l.readError(err)
			}
			same = f.matches(i, sum[:])
		}
		if !same {
			lower(&first, int64(i))
		}
		a.add(n)
		a.keep()
		return nil
	})
	return int(first.Load()), err
}

// lower makes v the least of itself and n.
func lower(v *atomic.Int64, n int64) {
	for old := v.Load(); n < old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

// differs is the error of a local file of which block first is the first that
// differs, nil where none does and none is too much.
func (f *fetch) differs(l *local, first int) error {
	e := &protocol.Error{Kind: protocol.KindIntegrity, UID: f.file.UID,
		Hint: fmt.Sprintf("To have the file as it was put: osp get %s -o PATH", f.file.UID)}
	lengths := ""
	if l.stamp.Size != f.file.Size {
		lengths = fmt.Sprintf(", and %s has %d bytes where the file has %d", l.path, l.stamp.Size, f.file.Size)
	}
	count := int(protocol.BlockCount(f.file.Size))
	switch {
	case first < count:
		off, n := blockRange(f.file.Size, first)
		e.Message = fmt.Sprintf("%s is not file %s: block %d of %d, bytes %d to %d, is the first that differs%s",
			l.path, f.file.UID, first+1, count, off, off+n-1, lengths)
	case lengths != "":
		e.Message = fmt.Sprintf("%s is not file %s: it goes on after all %d bytes of it, for %d more",
			l.path, f.file.UID, f.file.Size, l.stamp.Size-f.file.Size)
	default:
		return nil
	}
	return e
}

// discard is a sink that keeps nothing: all is read to one place.
type discard []byte

func (d discard) room(_, n int64) []byte { return d[:min(n, int64(len(d)))] }

func (discard) fill([]byte, int64) error { return nil }
