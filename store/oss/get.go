package oss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Get is store.Backend's.
func (b *Backend) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if err := key.CheckAny(); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	name := b.names.Object(key)
	switch {
	case off < 0 || n > 0 && off > math.MaxInt64-n:
		return nil, fmt.Errorf("get %q: %d bytes from %d: %w", name, n, off, store.ErrRange)
	case n == 0:
		return b.nothing(ctx, name, off)
	case off == 0 && n < 0:
		return b.whole(ctx, name)
	}
	return b.part(ctx, name, off, n)
}

// nothing reads no bytes from off, of an object that is that long.
func (b *Backend) nothing(ctx context.Context, name string, off int64) (io.ReadCloser, error) {
	h, err := b.head(ctx, "get", name)
	if err != nil {
		return nil, err
	}
	if off > h.Size {
		return nil, fmt.Errorf("get %q: from %d of %d bytes: %w", name, off, h.Size, store.ErrRange)
	}
	return io.NopCloser(strings.NewReader("")), nil
}

// whole reads all of an object.
func (b *Backend) whole(ctx context.Context, name string) (io.ReadCloser, error) {
	c := b.begin(ctx, "get", name)
	resp, err := b.bucket.Do(http.MethodGet, name, nil, c.options(), nil, nil)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	size, err := length(resp.Headers)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err != nil {
		return nil, errors.Join(c.failed(ctx, err), resp.Body.Close())
	}
	return object.NewDownload(ctx, resp.Body, size), nil
}

// part reads a range. That a range past the end is an error has to be asked for:
// of its own OSS sends the whole object then, with 200.
func (b *Backend) part(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	from, to := strconv.FormatInt(off, 10), ""
	if n > 0 {
		to = strconv.FormatInt(off+n-1, 10)
	}
	c := b.begin(ctx, "get", name)
	resp, err := b.bucket.Do(http.MethodGet, name, nil,
		c.options(oss.NormalizedRange(from+"-"+to), oss.RangeBehavior("standard")), nil, nil)
	if err != nil {
		if err = c.failed(ctx, err); errors.Is(err, store.ErrRange) && n < 0 {
			return b.nothing(ctx, name, off) // from the end to the end
		}
		return nil, err
	}
	size, err := length(resp.Headers)
	switch got := resp.Headers.Get("Content-Range"); {
	case err != nil:
	case resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(got, "bytes "+from+"-"):
		err = fmt.Errorf("asked for bytes %s-%s and got status %d with Content-Range %q", from, to, resp.StatusCode, got)
	case n > 0 && size != n:
		err = fmt.Errorf("%d of %d bytes from %d are there: %w", size, n, off, store.ErrRange)
	}
	if err != nil {
		return nil, errors.Join(c.failed(ctx, err), resp.Body.Close())
	}
	return object.NewDownload(ctx, resp.Body, size), nil
}

// described is what a HEAD tells of an object.
type described struct {
	object.Object // whose Tag has its quotes

	time      time.Time
	mediaType string
}

// head describes an object.
func (b *Backend) head(ctx context.Context, op, name string) (described, error) {
	c := b.begin(ctx, op, name)
	h, err := b.bucket.GetObjectDetailedMeta(name, c.options()...)
	if err != nil {
		return described{}, b.absent(ctx, op, name, c.failed(ctx, err))
	}
	d := described{Object: object.Object{Tag: h.Get(oss.HTTPHeaderEtag)}, mediaType: h.Get(oss.HTTPHeaderContentType)}
	if d.Size, err = length(h); err != nil {
		return described{}, c.failed(ctx, err)
	}
	if d.time, err = http.ParseTime(h.Get(oss.HTTPHeaderLastModified)); err != nil {
		return described{}, c.failed(ctx, fmt.Errorf("the time it was written: %w", err))
	}
	if text := h.Get(oss.HTTPHeaderOssCRC64); text != "" {
		if d.CRC, err = strconv.ParseUint(text, 10, 64); err != nil {
			return described{}, c.failed(ctx, fmt.Errorf("its CRC-64: %w", err))
		}
		d.HasCRC = true
	}
	return d, nil
}

// absent says what is absent where the answer to a HEAD did not, as it has no
// room for it but in a header that only OSS itself sends: a listing tells.
func (b *Backend) absent(ctx context.Context, op, name string, err error) error {
	var said oss.ServiceError
	if !errors.Is(err, store.ErrNotFound) || errors.As(err, &said) && said.Code != "" {
		return err
	}
	c := b.begin(ctx, op, name)
	if _, failed := b.bucket.ListObjectsV2(c.options(oss.Prefix(name), oss.MaxKeys(1))...); failed != nil {
		if failed = c.failed(ctx, failed); !errors.Is(failed, store.ErrDenied) {
			return failed
		}
	}
	return err
}

// length is how many bytes follow. An answer that does not say so was compressed
// on the way, for one.
func length(h http.Header) (int64, error) {
	n, err := strconv.ParseInt(h.Get(oss.HTTPHeaderContentLength), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("the answer does not say how many bytes there are (Content-Length %q, Content-Encoding %q)",
			h.Get(oss.HTTPHeaderContentLength), h.Get("Content-Encoding"))
	}
	return n, nil
}

// Stat is store.Backend's.
func (b *Backend) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	if err := key.CheckAny(); err != nil {
		return store.Info{}, fmt.Errorf("stat: %w", err)
	}
	d, err := b.head(ctx, "stat", b.names.Object(key))
	if err != nil {
		return store.Info{}, err
	}
	return store.Info{Key: key, Size: d.Size, Time: d.time}, nil
}
