package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Get is store.Backend's.
func (b *Backend) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if err := key.CheckAny(); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	beyond := off < 0 || n > math.MaxInt64-off
	if n == 0 || beyond {
		return b.getNothing(ctx, key, off, n)
	}
	c := begin(ctx, fmt.Sprintf("get %s", key))
	whole := off == 0 && n < 0
	body, info, header, err := b.core.GetObject(c.ctx, b.bucket, b.names.Object(key), rangeOf(off, n))
	if err != nil {
		err = c.failed(err)
		if errors.Is(err, store.ErrRange) && n < 0 {
			return b.getNothing(ctx, key, off, 0) // from the end to the end is a range
		}
		return nil, err
	}
	switch {
	case whole && info.Size < 0:
		err = fmt.Errorf("the service does not say how long the object is: %w", store.ErrUnsupported)
	case whole:
		n = info.Size
	default:
		n, err = answeredRange(c.answer, header, off, n)
	}
	if err != nil {
		body.Close()
		return nil, fmt.Errorf("%s: %w", c.what, err)
	}
	return object.NewDownload(ctx, body, n), nil
}

func rangeOf(off, n int64) minio.GetObjectOptions {
	var o minio.GetObjectOptions
	switch {
	case n < 0 && off > 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-", off))
	case n > 0:
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	}
	return o
}

// answeredRange makes sure that an answer has the range that was asked for, and
// gives its length. Of a range that goes beyond the object S3 answers with what
// there is of it.
func answeredRange(a *object.Answer, h http.Header, off, n int64) (int64, error) {
	text := h.Get("Content-Range")
	if a.Status != http.StatusPartialContent || text == "" {
		return 0, fmt.Errorf("the service answered %d to a range: %w", a.Status, store.ErrUnsupported)
	}
	var first, last, size int64
	if _, err := fmt.Sscanf(text, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != off {
		return 0, fmt.Errorf("the service answered with range %q to one from %d: %w", text, off, store.ErrUnsupported)
	}
	got := last - first + 1
	if n >= 0 && got != n || n < 0 && last != size-1 {
		return 0, fmt.Errorf("%d bytes from %d of %d: %w", n, off, size, store.ErrRange)
	}
	return got, nil
}

// getNothing is Get of a range without bytes, or of one that cannot be.
func (b *Backend) getNothing(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	info, err := b.head(ctx, fmt.Sprintf("get %s", key), b.names.Object(key))
	if err != nil {
		return nil, err
	}
	if n != 0 || off < 0 || off > info.Size {
		return nil, fmt.Errorf("get %s: %d bytes from %d of %d: %w", key, n, off, info.Size, store.ErrRange)
	}
	return object.NewDownload(ctx, io.NopCloser(strings.NewReader("")), 0), nil
}

// Stat is store.Backend's.
func (b *Backend) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	if err := key.CheckAny(); err != nil {
		return store.Info{}, fmt.Errorf("stat: %w", err)
	}
	info, err := b.head(ctx, fmt.Sprintf("stat %s", key), b.names.Object(key))
	if err != nil {
		return store.Info{}, err
	}
	return store.Info{Key: key, Size: info.Size, Time: written(info)}, nil
}

// written is when an object was, in whole seconds: a listing knows more of it
// than a HEAD does, and both are to say the same.
func written(o minio.ObjectInfo) time.Time { return o.LastModified.Truncate(time.Second) }

// head describes an object. An answer to HEAD has no body that could say what
// is not there, so that the bucket is asked for.
func (b *Backend) head(ctx context.Context, what, name string) (minio.ObjectInfo, error) {
	c := begin(ctx, what)
	info, err := b.core.StatObject(c.ctx, b.bucket, name, minio.StatObjectOptions{Checksum: true})
	if err == nil {
		return info, nil
	}
	if err = c.failed(err); errors.Is(err, store.ErrNotFound) {
		c = begin(ctx, what)
		if there, missing := b.core.BucketExists(c.ctx, b.bucket); missing != nil {
			return minio.ObjectInfo{}, c.failed(missing)
		} else if !there {
			return minio.ObjectInfo{}, fmt.Errorf("%s: %w", what, store.ErrNoBucket)
		}
	}
	return minio.ObjectInfo{}, err
}
