package local

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/osproxy/osproxy/store"
)

// Assemble is store.Assembler's. Whoever writes an object keeps one Assembly
// of it until the last Sync: the system reports a failed write-back to the
// descriptors that are open then, and only to them.
func (b *Backend) Assemble(ctx context.Context, key store.Key) (store.Assembly, error) {
	if err := b.check(ctx, "assemble", key); err != nil {
		return nil, err
	}
	mark := b.dirs.mark()
	f, err := b.create(key, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, failed("assemble", key, err)
	}
	a := &assembly{key: key, f: f, dirs: b.dirs, mark: mark}
	a.syncs.run = a.sync
	return a, nil
}

// Cut is store.Assembler's.
func (b *Backend) Cut(ctx context.Context, key store.Key, size int64) error {
	if err := b.check(ctx, "cut", key); err != nil {
		return err
	}
	f, err := b.fs.Open(string(key), os.O_WRONLY)
	if err != nil {
		return failed("cut", key, err)
	}
	err = cut(f, size)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return failed("cut", key, err)
	}
	return nil
}

// cut syncs also where nothing is left to cut: what made the file short may
// not be on the disk.
func cut(f File, size int64) error {
	length, err := f.Size()
	if err == nil && length > size {
		err = f.Truncate(size)
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// assembly is a store.Assembly over one descriptor.
type assembly struct {
	key   store.Key
	f     File
	dirs  *dirs
	mark  int // of dirs, from before the object's name was made
	syncs group
	named bool // the name is durable; only sync, which never runs twice at once, uses it

	mu   sync.Mutex
	lost error // the sync error that ended the assembly, or nil
}

func (a *assembly) WriteAt(p []byte, off int64) (int, error) {
	if err := a.err(); err != nil {
		return 0, err
	}
	n, err := a.f.WriteAt(p, off)
	if err != nil {
		err = failed("write", a.key, err)
	}
	return n, err
}

func (a *assembly) ReadAt(p []byte, off int64) (int, error) { return a.f.ReadAt(p, off) }

func (a *assembly) Flush(off, n int64) { a.f.Flush(off, n) }

// Sync is store.Assembly's. Concurrent calls share one fdatasync that began
// after each of them. One that runs is waited for.
func (a *assembly) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return failed("sync", a.key, err)
	}
	return a.syncs.do()
}

// sync is one run of the group.
func (a *assembly) sync() error {
	if err := a.err(); err != nil {
		return err
	}
	err := a.f.Sync()
	if err == nil && !a.named {
		err = a.dirs.sync(string(a.key.Dir()), a.mark)
		a.named = err == nil
	}
	if err == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = fmt.Errorf("sync %s: %w: %w", a.key, store.ErrLost, classify(err))
	return a.lost
}

func (a *assembly) Close() error { return a.f.Close() }

func (a *assembly) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}
