package oss

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
)

// page is how many objects one answer lists; OSS allows no more.
const page = 1000

// objects yields what the bucket holds under names with a prefix, after a name.
// Each page is asked for by the last name of the one before: a continuation
// token would come through a decoding that is not its own.
func (b *Backend) objects(ctx context.Context, op, prefix, after string) iter.Seq2[oss.ObjectProperties, error] {
	return func(yield func(oss.ObjectProperties, error) bool) {
		for {
			c := b.begin(ctx, op, "")
			options := c.options(oss.Prefix(prefix), oss.MaxKeys(page))
			if after != "" {
				options = append(options, oss.StartAfter(after))
			}
			found, err := b.bucket.ListObjectsV2(options...)
			if err == nil && found.IsTruncated && len(found.Objects) == 0 {
				err = errors.New("the listing says that it goes on, and lists nothing")
			}
			if err != nil {
				yield(oss.ObjectProperties{}, c.failed(ctx, err))
				return
			}
			for _, o := range found.Objects {
				if !yield(o, nil) {
					return
				}
				after = o.Key
			}
			if !found.IsTruncated {
				return
			}
		}
	}
}

// List is store.Backend's.
func (b *Backend) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if strings.Trim(prefix, "0123456789abcdef/") != "" || strings.HasPrefix(prefix, "/") {
			// No key begins so, and who stands in for OSS may refuse to look.
			if err := ctx.Err(); err != nil {
				yield(store.Info{}, fmt.Errorf("list: %w", err))
			}
			return
		}
		from := ""
		if after != "" {
			from = b.names.Prefix() + string(after)
		}
		for o, err := range b.objects(ctx, "list", b.names.Prefix()+prefix, from) {
			if err != nil {
				yield(store.Info{}, err)
				return
			}
			key, ok := b.names.Key(o.Key)
			if ok && !yield(store.Info{Key: key, Size: o.Size, Time: o.LastModified.Truncate(time.Second)}, nil) {
				return
			}
		}
	}
}

// Browse is store.Browser's.
func (b *Backend) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for o, err := range b.objects(ctx, "browse", prefix, after) {
			if err != nil {
				yield(store.Found{}, err)
				return
			}
			if b.names.Ours(o.Key) {
				continue
			}
			found := store.Found{Name: o.Key, Size: o.Size, Time: o.LastModified.Truncate(time.Second), Tag: strings.Trim(o.ETag, `"`)}
			if !yield(found, nil) {
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
		return store.Found{}, fmt.Errorf("describe %q: %w: it is ospd's own", name, store.ErrNotFound)
	}
	d, err := b.head(ctx, "describe", name)
	if err != nil {
		return store.Found{}, err
	}
	return store.Found{Name: name, Size: d.Size, Time: d.time, MediaType: d.mediaType, Tag: strings.Trim(d.Tag, `"`)}, nil
}
