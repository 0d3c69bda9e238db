package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/osproxy/osproxy/store"
)

// Get is store.Backend's.
func (b *Backend) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if err := b.checkAny(ctx, "get", key); err != nil {
		return nil, err
	}
	f, err := b.open(key)
	if err != nil {
		return nil, failed("get", key, err)
	}
	return read(ctx, f, key, off, n)
}

// open opens the file of an object, ours or not, for reading.
func (b *Backend) open(key store.Key) (File, error) {
	if name, ok := key.Foreign(); ok {
		return b.foreign().open(name)
	}
	return b.fs.Open(string(key), os.O_RDONLY)
}

// read is a reader of a range of f, which it closes.
func read(ctx context.Context, f File, key store.Key, off, n int64) (io.ReadCloser, error) {
	size, err := f.Size()
	if err == nil && (off < 0 || off > size || n > size-off) {
		err = fmt.Errorf("%d bytes from %d of %d: %w", n, off, size, store.ErrRange)
	}
	if err != nil {
		return nil, failed("get", key, errors.Join(err, f.Close()))
	}
	if n < 0 {
		n = size - off
	}
	return &reader{ctx: ctx, f: f, key: key, off: off, end: off + n}, nil
}

// reader reads a range of a file and ends only where the range does.
type reader struct {
	ctx      context.Context
	f        File
	key      store.Key
	off, end int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, failed("get", r.key, err)
	}
	if r.off == r.end {
		return 0, io.EOF
	}
	n, err := r.f.ReadAt(p[:min(int64(len(p)), r.end-r.off)], r.off)
	r.off += int64(n)
	switch {
	case err == nil || errors.Is(err, io.EOF) && n > 0:
		return n, nil
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("file ends at %d, %d bytes early: %w", r.off, r.end-r.off, io.ErrUnexpectedEOF)
	}
	return n, failed("get", r.key, err)
}

func (r *reader) Close() error { return r.f.Close() }

// nameOf is the name of an object's file. That of one that is not ours is a
// regular file, or fs.ErrNotExist.
func (b *Backend) nameOf(key store.Key) (string, error) {
	name, ok := key.Foreign()
	if !ok {
		return string(key), nil
	}
	_, err := b.foreign().stat(name)
	return name, err
}

// OpenFile is store.FileOpener's. It takes the keys of foreign objects, too.
func (b *Backend) OpenFile(ctx context.Context, key store.Key) (*os.File, error) {
	if err := b.checkAny(ctx, "open", key); err != nil {
		return nil, err
	}
	name, err := b.nameOf(key)
	if err != nil {
		return nil, failed("open", key, err)
	}
	f, err := b.fs.OpenOS(name)
	if err != nil {
		return nil, failed("open", key, err)
	}
	return f, nil
}

// Stat is store.Backend's.
func (b *Backend) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	if err := b.checkAny(ctx, "stat", key); err != nil {
		return store.Info{}, err
	}
	name, err := b.nameOf(key)
	if err != nil {
		return store.Info{}, failed("stat", key, err)
	}
	info, err := b.fs.Stat(name)
	if err != nil {
		return store.Info{}, failed("stat", key, err)
	}
	return store.Info{Key: key, Size: info.Size(), Time: info.ModTime()}, nil
}

// List is store.Backend's. It holds the names of one directory at a time.
func (b *Backend) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for e, err := range b.walk(ctx, func(dir string) bool {
			return mayHold(dir, prefix, string(after))
		}) {
			if err != nil {
				yield(store.Info{}, fmt.Errorf("list: %w", err))
				return
			}
			if !e.object || e.name <= string(after) || !strings.HasPrefix(e.name, prefix) {
				continue
			}
			info, err := b.fs.Stat(e.name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if err != nil {
				yield(store.Info{}, fmt.Errorf("list: %w", err))
				return
			}
			if !yield(store.Info{Key: store.Key(e.name), Size: info.Size(), Time: info.ModTime()}, nil) {
				return
			}
		}
	}
}

// mayHold reports whether a directory may hold a key with prefix, after a key.
func mayHold(dir, prefix, after string) bool {
	first, last := dir+"/", dir+"/~"
	return last > after && (strings.HasPrefix(first, prefix) || strings.HasPrefix(prefix, first))
}

// Strays is store.StrayLister's.
func (b *Backend) Strays(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for e, err := range b.walk(ctx, func(string) bool { return true }) {
			if err != nil {
				yield("", fmt.Errorf("list strays: %w", err))
				return
			}
			if !e.object && !yield(e.name, nil) {
				return
			}
		}
	}
}

// entry is a name in the store's folder: an object's, or a stray.
type entry struct {
	name   string
	object bool
}

// walk yields in byte order everything in the folder but the directories of keys
// themselves and what isOwn names. Directories that want refuses are not read.
func (b *Backend) walk(ctx context.Context, want func(dir string) bool) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if err := b.ready(ctx); err != nil {
			yield(entry{}, err)
			return
		}
		top, err := b.fs.ReadDir(".")
		if err != nil {
			yield(entry{}, err)
			return
		}
		for _, d := range top {
			if err := ctx.Err(); err != nil {
				yield(entry{}, err)
				return
			}
			switch name := d.Name(); {
			case isOwn(name):
			case !d.IsDir() || !store.Dir(name).Valid():
				if !yield(entry{name: name}, nil) {
					return
				}
			case want(name):
				if !b.walkDir(ctx, name, yield) {
					return
				}
			}
		}
	}
}

// walkDir yields what lies in one directory of keys, and reports whether to
// go on.
func (b *Backend) walkDir(ctx context.Context, dir string, yield func(entry, error) bool) bool {
	files, err := b.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		yield(entry{}, err)
		return false
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			yield(entry{}, err)
			return false
		}
		name := dir + "/" + f.Name()
		if !yield(entry{name: name, object: f.Type().IsRegular() && store.Key(name).Valid()}, nil) {
			return false
		}
	}
	return true
}
