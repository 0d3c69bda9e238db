package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// List is store.Backend's.
func (b *Backend) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if strings.Trim(prefix, "0123456789abcdef/") != "" {
			// No key begins so, and a service that keeps files may refuse to look.
			if err := ctx.Err(); err != nil {
				yield(store.Info{}, fmt.Errorf("list: %w", err))
			}
			return
		}
		start := ""
		if after != "" {
			start = b.names.Prefix() + string(after)
		}
		for o, err := range b.list(ctx, b.names.Prefix()+prefix, start) {
			key, ours := b.names.Key(o.Key)
			switch {
			case err != nil:
				yield(store.Info{}, err)
				return
			case ours && key > after:
				if !yield(store.Info{Key: key, Size: o.Size, Time: written(o)}, nil) {
					return
				}
			}
		}
	}
}

// list yields all objects whose names begin with prefix, after a name.
func (b *Backend) list(ctx context.Context, prefix, after string) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		c := begin(ctx, "list")
		for o := range b.core.ListObjectsIter(c.ctx, b.bucket, minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, Recursive: true}) {
			if err := c.failed(o.Err); err != nil {
				if !isCode(err, "InvalidObjectName") { // which nothing can begin with
					yield(minio.ObjectInfo{}, err)
				}
				return
			}
			if !yield(o, nil) {
				return
			}
		}
		// The SDK ends quietly then.
		if err := ctx.Err(); err != nil {
			yield(minio.ObjectInfo{}, fmt.Errorf("list: %w", err))
		}
	}
}

// Browse is store.Browser's.
func (b *Backend) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for o, err := range b.list(ctx, prefix, after) {
			if err != nil {
				yield(store.Found{}, err)
				return
			}
			if o.Key <= after || b.names.Ours(o.Key) {
				continue
			}
			if !yield(found(o), nil) {
				return
			}
		}
	}
}

// Marked is store.Browser's.
func (b *Backend) Marked(ctx context.Context, dir string) (bool, error) {
	return b.names.Marked(ctx, dir, b.Describe)
}

// Describe is store.Browser's.
func (b *Backend) Describe(ctx context.Context, name string) (store.Found, error) {
	if err := store.ForeignKey(name).CheckAny(); err != nil {
		return store.Found{}, fmt.Errorf("describe: %w", err)
	}
	if b.names.Ours(name) {
		return store.Found{}, fmt.Errorf("describe %q: it is ospd's own: %w", name, store.ErrNotFound)
	}
	o, err := b.head(ctx, fmt.Sprintf("describe %q", name), name)
	if err != nil {
		return store.Found{}, err
	}
	o.Key = name
	f := found(o)
	f.MediaType = o.ContentType
	return f, nil
}

func found(o minio.ObjectInfo) store.Found {
	return store.Found{Name: o.Key, Size: o.Size, Time: written(o), Tag: strings.Trim(o.ETag, `"`)}
}

// Delete is store.Backend's.
func (b *Backend) Delete(ctx context.Context, key store.Key) error {
	if err := key.CheckAny(); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return b.delete(ctx, b.names.Object(key))
}

func (b *Backend) delete(ctx context.Context, name string) error {
	c := begin(ctx, fmt.Sprintf("delete %q", name))
	err := c.failed(b.core.RemoveObject(c.ctx, b.bucket, name, minio.RemoveObjectOptions{}))
	// A gateway to a file system takes a name that ends with a slash for that of
	// a folder; if there is one with something in it, no object has the name.
	if errors.Is(err, store.ErrNotFound) || isCode(err, "DirectoryNotEmpty") {
		return nil
	}
	return err
}

// isCode reports whether a service said that, after whatever its makers put in
// front of codes of their own.
func isCode(err error, code string) bool {
	var f *object.Failure
	return errors.As(err, &f) && strings.HasSuffix(f.Code, code)
}
