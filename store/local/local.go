// Package local keeps blobs in a folder of this machine:
//
//	<path>/STORE                      the mark, JSON
//	<path>/<8 hex>/<32 hex>           one file per object, named by its key
//	<path>/…                          foreign objects, under the names they came with
//
// An object is written under its final name. That is safe since nobody looks
// for a key before the metadata refers to it, which happens only after Put or
// Sync returned; what a crash leaves behind is unreferenced and swept. What
// has been acknowledged survives a power cut: bytes by fdatasync, names by a
// sync of the directory, which concurrent writers share.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"github.com/osproxy/osproxy/store"
)

const (
	// bufferSize is the unit in which Put copies.
	bufferSize = 256 << 10
	// flushEvery is how much of a body Put leaves to the system before it
	// has the disk begin, so that a large object does not all wait for its
	// sync. It is a multiple of bufferSize.
	flushEvery = 8 << 20
)

// Config says where the store is.
type Config struct {
	// Path is the folder; SetMark makes it where it is missing.
	Path string
	// FS replaces the folder; tests give a recording one. Path is then only
	// a name in messages.
	FS FS
}

// Backend is a store.Backend on a folder. It is a store.Assembler, FileOpener,
// DirMaker, StrayLister, SpaceReporter and Browser too.
type Backend struct {
	path    string
	fs      FS
	dirs    *dirs
	buffers sync.Pool
	marking sync.Mutex
}

var (
	_ store.Backend       = (*Backend)(nil)
	_ store.Assembler     = (*Backend)(nil)
	_ store.FileOpener    = (*Backend)(nil)
	_ store.DirMaker      = (*Backend)(nil)
	_ store.StrayLister   = (*Backend)(nil)
	_ store.SpaceReporter = (*Backend)(nil)
)

// New opens the store at c.Path and changes nothing there. A folder that does
// not exist is no error before it is used: then every method but Mark and
// SetMark gives store.ErrUnmarked.
func New(c Config) (*Backend, error) {
	f := c.FS
	if f == nil {
		real, err := newOSFS(c.Path)
		if err != nil {
			return nil, err
		}
		f = real
	}
	b := &Backend{path: c.Path, fs: f, dirs: newDirs(f)}
	b.buffers.New = func() any { return new([bufferSize]byte) }
	return b, nil
}

// Put is store.Backend's. A context that ends is noticed between two reads of
// the body and before each sync; a running Read or sync is waited for.
func (b *Backend) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if err := b.check(ctx, "put", key); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("put %s: negative size %d: %w", key, size, store.ErrShort)
	}
	mark := b.dirs.mark()
	f, err := b.create(key, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return failed("put", key, err)
	}
	err = b.fill(ctx, f, r, size)
	if err == nil {
		err = classify(b.dirs.sync(string(key.Dir()), mark))
	}
	if err == nil {
		return nil
	}
	if left := b.fs.Remove(string(key)); left != nil && !errors.Is(left, fs.ErrNotExist) {
		return fmt.Errorf("put %s: %w (and what was written could not be removed: %w)", key, err, left)
	}
	return fmt.Errorf("put %s: %w", key, err)
}

// fill writes the body into f, makes it durable and closes f.
func (b *Backend) fill(ctx context.Context, f File, r io.Reader, size int64) error {
	err := b.write(ctx, f, r, size)
	if err == nil {
		err = classify(f.Sync())
	}
	if closing := f.Close(); err == nil {
		err = classify(closing)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// create opens the file of key for writing, in a directory that is durable.
func (b *Backend) create(key store.Key, flag int) (File, error) {
	dir := string(key.Dir())
	if err := b.dirs.ensure(dir); err != nil {
		return nil, err
	}
	f, err := b.fs.Open(string(key), flag)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	// Someone removed the directory since it was made.
	b.dirs.forget(dir)
	if err := b.dirs.ensure(dir); err != nil {
		return nil, err
	}
	return b.fs.Open(string(key), flag)
}

// write copies exactly size bytes of r into f.
func (b *Backend) write(ctx context.Context, f File, r io.Reader, size int64) error {
	buf := b.buffers.Get().(*[bufferSize]byte)
	defer b.buffers.Put(buf)
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf[:min(bufferSize, size-off)])
		if err == io.EOF || err == io.ErrUnexpectedEOF { // ReadFull's own; a reader's error may wrap them
			return fmt.Errorf("body ended after %d of %d bytes: %w", off+int64(n), size, store.ErrShort)
		}
		if err != nil {
			return fmt.Errorf("read body at byte %d: %w", off+int64(n), err)
		}
		if _, err := f.WriteAt(buf[:n], off); err != nil {
			return classify(err)
		}
		off += int64(n)
		if off%flushEvery == 0 {
			f.Flush(off-flushEvery, flushEvery)
		}
	}
	switch _, err := io.ReadFull(r, buf[:1]); err {
	case nil:
		return fmt.Errorf("body goes on after %d bytes: %w", size, store.ErrShort)
	case io.EOF:
		return ctx.Err()
	default:
		return fmt.Errorf("read end of body: %w", err)
	}
}

// Delete is store.Backend's. An object that is not there may be one whose
// removal was never synced, so that its directory is synced all the same.
func (b *Backend) Delete(ctx context.Context, key store.Key) error {
	if err := b.checkAny(ctx, "delete", key); err != nil {
		return err
	}
	mark := b.dirs.mark()
	name, err := b.nameOf(key)
	if err == nil {
		err = b.fs.Remove(name)
	}
	dir := path.Dir(name)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err := b.fs.Stat(dir); err != nil || !info.IsDir() {
			return nil
		}
		err = nil
	}
	if err == nil {
		err = classify(b.dirs.sync(dir, mark))
	}
	if err != nil {
		return failed("delete", key, err)
	}
	return nil
}

// MakeDir is store.DirMaker's.
func (b *Backend) MakeDir(ctx context.Context, dir store.Dir) error {
	if !dir.Valid() {
		return fmt.Errorf("make directory %q: %w", string(dir), store.ErrKey)
	}
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	if err := b.dirs.ensure(string(dir)); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, classify(err))
	}
	return nil
}

// Free is store.SpaceReporter's.
func (b *Backend) Free(ctx context.Context) (int64, error) {
	if err := b.ready(ctx); err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	n, err := b.fs.Free()
	if err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	return n, nil
}

// Close is store.Backend's. Open readers and assemblies stay usable.
func (b *Backend) Close() error { return b.fs.Close() }

// check is what each method begins with that takes keys of ours only.
func (b *Backend) check(ctx context.Context, op string, key store.Key) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return b.checkAny(ctx, op, key)
}

// checkAny is check where the keys of foreign objects are taken, too.
func (b *Backend) checkAny(ctx context.Context, op string, key store.Key) error {
	if err := key.CheckAny(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := b.ready(ctx); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}

// ready says whether work may begin: ctx lives and the folder is there.
func (b *Backend) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := b.fs.HasRoot()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no folder %s; check that its disk is mounted", store.ErrUnmarked, b.path)
	}
	return err
}

func failed(op string, key store.Key, err error) error {
	return fmt.Errorf("%s %s: %w", op, key, classify(err))
}

// classify says in the store's words what an error of the file layer means. It
// is not for errors of a body: those may wrap anything.
func classify(err error) error {
	for _, c := range []struct{ from, to error }{
		{syscall.ENOSPC, store.ErrFull},
		{syscall.EDQUOT, store.ErrFull},
		{fs.ErrNotExist, store.ErrNotFound},
		{fs.ErrExist, store.ErrExists},
	} {
		if errors.Is(err, c.from) {
			return fmt.Errorf("%w: %w", c.to, err)
		}
	}
	return err
}
