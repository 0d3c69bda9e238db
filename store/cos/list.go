package cos

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
)

// page is how many objects one listing has at most.
const page = 1000

// objects lists objects whose name begins with prefix, after the given one. The
// next page begins after the last name: whatever comes and goes meanwhile, that
// is a place in the order. Names come encoded, since XML cannot say all.
//
// Tencent calls listings eventually consistent in places. What relies on one
// being complete must not take what is missing for gone.
func (b *Backend) objects(ctx context.Context, op, prefix, after string) iter.Seq2[cos.Object, error] {
	return func(yield func(cos.Object, error) bool) {
		for {
			c := begin(ctx, op, "")
			found, _, err := b.client.Bucket.Get(c.ctx, &cos.BucketGetOptions{Prefix: prefix, Marker: after, MaxKeys: page, EncodingType: "url"})
			if err == nil && found.IsTruncated && len(found.Contents) == 0 {
				err = errors.New("the listing says that it goes on, and lists nothing")
			}
			if err != nil {
				yield(cos.Object{}, c.failed(err))
				return
			}
			for _, o := range found.Contents {
				name, err := url.QueryUnescape(o.Key)
				if err == nil && name <= after {
					err = fmt.Errorf("the listing has %q after %q", name, after)
				}
				if err != nil {
					yield(cos.Object{}, c.failed(err))
					return
				}
				o.Key, after = name, name
				if !yield(o, nil) {
					return
				}
			}
			if !found.IsTruncated {
				return
			}
		}
	}
}

// when reads a time of a listing. That of an answer has seconds alone.
func when(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	return t.Truncate(time.Second), err
}

// List is store.Backend's.
func (b *Backend) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		from := ""
		if after != "" {
			from = b.names.Prefix() + string(after)
		}
		for o, err := range b.objects(ctx, "list", b.names.Prefix()+prefix, from) {
			var t time.Time
			if err == nil {
				t, err = when(o.LastModified)
			}
			if err != nil {
				yield(store.Info{}, err)
				return
			}
			key, ok := b.names.Key(o.Key)
			if ok && !yield(store.Info{Key: key, Size: o.Size, Time: t}, nil) {
				return
			}
		}
	}
}

// Browse is store.Browser's.
func (b *Backend) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for o, err := range b.objects(ctx, "browse", prefix, after) {
			var t time.Time
			if err == nil {
				t, err = when(o.LastModified)
			}
			if err != nil {
				yield(store.Found{}, err)
				return
			}
			if b.names.Ours(o.Key) {
				continue
			}
			if !yield(store.Found{Name: o.Key, Size: o.Size, Time: t, Tag: tag(o.ETag)}, nil) {
				return
			}
		}
	}
}

func tag(etag string) string { return strings.Trim(etag, `"`) }

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
	d, err := b.head(ctx, "describe", name)
	if err != nil {
		return store.Found{}, err
	}
	return store.Found{Name: name, Size: d.Size, Time: d.time, MediaType: d.mediaType, Tag: tag(d.Tag)}, nil
}
