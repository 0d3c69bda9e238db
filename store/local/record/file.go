package record

import (
	"io"
	"os"
	"slices"
	"sync/atomic"
)

// file is an open file of an FS. It stays usable after its name is removed.
type file struct {
	fs     *FS
	name   string
	ino    inode
	closed atomic.Bool
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if f.closed.Load() {
		return 0, os.ErrClosed
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	data := f.fs.now.nodes[f.ino].data
	if off >= int64(len(data)) {
		return 0, io.EOF
	}
	n := copy(p, data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.do(Op{Kind: Write, Off: off, Data: slices.Clone(p)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *file) Size() (int64, error) {
	if f.closed.Load() {
		return 0, os.ErrClosed
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.fs.now.nodes[f.ino].data)), nil
}

func (f *file) Truncate(size int64) error { return f.do(Op{Kind: Truncate, Off: size}) }

// Flush promises nothing, so nothing is recorded.
func (f *file) Flush(int64, int64) {}

func (f *file) Sync() error { return f.do(Op{Kind: SyncFile}) }

func (f *file) Close() error {
	if f.closed.Swap(true) {
		return os.ErrClosed
	}
	return nil
}

func (f *file) do(op Op) error {
	op.Name, op.Ino = f.name, f.ino
	_, err := f.fs.do(op, func(*Op) error {
		if f.closed.Load() {
			return os.ErrClosed
		}
		return nil
	})
	return err
}
