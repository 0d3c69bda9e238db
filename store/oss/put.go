package oss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Put is store.Backend's.
func (b *Backend) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return b.put(ctx, "put", b.names.Object(key), r, size)
}

// put creates an object.
func (b *Backend) put(ctx context.Context, op, name string, r io.Reader, size int64) error {
	if size > maxPut {
		return fmt.Errorf("%s %q: %d bytes, and OSS takes at most %d at once: %w", op, name, size, int64(maxPut), store.ErrUnsupported)
	}
	c := b.begin(ctx, op, name)
	_, err := c.send(ctx, nil, r, size, oss.ForbidOverWrite(true))
	if errors.Is(err, store.ErrDamaged) {
		// It is there already, and it is ours: a key that was taken is refused.
		return b.discard(ctx, name, err)
	}
	return err
}

// send sends a body with a length, and compares checksums. The SDK knows the
// length of a LimitedReader, and sends other readers in chunks; so it does an
// empty body, where there is a reader.
func (c *call) send(ctx context.Context, params map[string]any, r io.Reader, size int64, options ...oss.Option) (http.Header, error) {
	body, err := object.NewUpload(ctx, r, size, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", c.op, c.name, err)
	}
	var limited io.Reader
	if size > 0 {
		limited = &io.LimitedReader{R: body, N: size}
	}
	resp, err := c.b.bucket.Do(http.MethodPut, c.name, params, c.options(append(options, oss.ContentType(mediaType))...), limited, nil)
	ours := body.Stop()
	if err == nil {
		err = errors.Join(oss.CheckCRC(resp, c.op), oss.CheckRespCode(resp.StatusCode, []int{http.StatusOK}), resp.Body.Close())
	}
	switch {
	case ours != nil:
		return nil, fmt.Errorf("%s %q: %w", c.op, c.name, ours)
	case err != nil:
		return nil, c.failed(ctx, err)
	}
	return resp.Headers, nil
}

// damaged reports whether the SDK found that the service computed another
// checksum than we.
func damaged(err error) bool {
	var sum oss.CRCCheckError
	return errors.As(err, &sum)
}

// discardPatience is for deleting what must not stay, whatever became of the
// caller.
const discardPatience = 30 * time.Second

// discard deletes an object that is not what it should be.
func (b *Backend) discard(ctx context.Context, name string, reason error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardPatience)
	defer cancel()
	return errors.Join(reason, b.delete(ctx, name))
}
