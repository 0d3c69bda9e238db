package local

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/osproxy/osproxy/store"
)

var _ store.Browser = (*Backend)(nil)

// The foreign objects of a store are the regular files in its folder, at any
// depth, that are neither its mark nor called as a key is: others may have
// directories that are called as those of keys are, by the date for one.
func (b *Backend) foreign() tree { return tree{fs: b.fs, leaveOut: ours} }

// ours reports whether a name in the store's folder is its mark's or an object's.
func ours(name string) bool { return isMark(name) || store.Key(name).Valid() }

// Browse is store.Browser's. It holds the names of one directory at each depth.
func (b *Backend) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		if err := b.ready(ctx); err != nil {
			yield(store.Found{}, fmt.Errorf("browse: %w", err))
			return
		}
		b.foreign().browse(ctx, prefix, after)(yield)
	}
}

// Marked is store.Browser's.
func (b *Backend) Marked(ctx context.Context, dir string) (bool, error) {
	if dir == "" {
		return false, ctx.Err() // the mark there is its own
	}
	if err := b.ready(ctx); err != nil {
		return false, fmt.Errorf("marked: %w", err)
	}
	return b.foreign().marked(dir)
}

// Describe is store.Browser's.
func (b *Backend) Describe(ctx context.Context, name string) (store.Found, error) {
	if err := b.checkAny(ctx, "describe", store.ForeignKey(name)); err != nil {
		return store.Found{}, err
	}
	return b.foreign().describe(name)
}

// Folder is a folder of this machine that is no store: its regular files can be
// found and read, nothing in it is changed, and no name leads out of it.
type Folder struct {
	path string
	fs   *osFS
}

// OpenFolder opens the folder at path, which must be there.
func OpenFolder(path string) (*Folder, error) {
	f, err := newOSFS(path)
	if err == nil {
		err = f.HasRoot()
	}
	if err != nil {
		return nil, fmt.Errorf("open folder %s: %w", path, classify(err))
	}
	return &Folder{path: path, fs: f}, nil
}

func (f *Folder) tree() tree { return tree{fs: f.fs, leaveOut: func(string) bool { return false }} }

// Browse is as store.Browser has it, for all regular files of the folder.
func (f *Folder) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return f.tree().browse(ctx, prefix, after)
}

// Marked is as store.Browser has it.
func (f *Folder) Marked(ctx context.Context, dir string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("marked: %w", err)
	}
	return f.tree().marked(dir)
}

// Describe is as store.Browser has it.
func (f *Folder) Describe(ctx context.Context, name string) (store.Found, error) {
	if err := ctx.Err(); err != nil {
		return store.Found{}, fmt.Errorf("describe: %w", err)
	}
	return f.tree().describe(name)
}

// Read reads n bytes of a file from off, as store.Backend's Get.
func (f *Folder) Read(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	file, err := f.tree().open(name)
	if err != nil {
		return nil, failed("get", store.ForeignKey(name), err)
	}
	return read(ctx, file, store.ForeignKey(name), off, n)
}

// Close releases the folder.
func (f *Folder) Close() error { return f.fs.Close() }
