package cos

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Get is store.Backend's. Bytes that are the whole object are compared with its
// checksum, which the SDK does not do, if it has one.
func (b *Backend) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if err := key.CheckAny(); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	name := b.names.Object(key)
	if off == 0 && n < 0 {
		return b.whole(ctx, name)
	}
	if off < 0 || n == 0 || n > math.MaxInt64-off {
		return b.nothing(ctx, name, off, n)
	}
	c := begin(ctx, "get", name)
	want := fmt.Sprintf("bytes=%d-", off)
	if n > 0 {
		want += strconv.FormatInt(off+n-1, 10)
	}
	resp, err := b.get(c, name, want)
	if errors.Is(err, store.ErrRange) && n < 0 {
		return b.nothing(ctx, name, off, 0) // from the end on, perhaps
	}
	if err != nil {
		return nil, err
	}
	left, err := rangeOf(resp, off, n)
	if err != nil {
		return nil, errors.Join(c.failed(err), resp.Body.Close())
	}
	return object.NewDownload(ctx, resp.Body, left), nil
}

// get sends a request for an object. The caller closes the answer's body.
func (b *Backend) get(c *call, name, want string) (*cos.Response, error) {
	if err := checkName(name); err != nil {
		return nil, c.failed(err)
	}
	resp, err := b.client.Object.Get(c.ctx, name, &cos.ObjectGetOptions{Range: want})
	if err != nil {
		return nil, c.failed(err)
	}
	return resp, nil
}

// rangeOf is how many bytes an answer has, if it is the range that was asked
// for. One that ends earlier is answered with what there is.
func rangeOf(resp *cos.Response, off, n int64) (int64, error) {
	var from, to, size int64
	said := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(said, "bytes %d-%d/%d", &from, &to, &size); err != nil || resp.StatusCode != http.StatusPartialContent || from != off {
		return 0, fmt.Errorf("the storage answered %d and the range %q to a request of %d bytes from %d: %w", resp.StatusCode, said, n, off, store.ErrUnsupported)
	}
	if got := to - from + 1; n >= 0 && got != n {
		return 0, fmt.Errorf("%d bytes from %d of %d: %w", n, off, size, store.ErrRange)
	}
	return to - from + 1, nil
}

// nothing answers where there are no bytes to read: the range is in the object
// all the same, or not.
func (b *Backend) nothing(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	d, err := b.head(ctx, "get", name)
	if err != nil {
		return nil, err
	}
	if off < 0 || off > d.Size || n > d.Size-off {
		return nil, fmt.Errorf("get %q: %d bytes from %d of %d: %w", name, n, off, d.Size, store.ErrRange)
	}
	return http.NoBody, nil
}

// whole reads all of an object.
func (b *Backend) whole(ctx context.Context, name string) (io.ReadCloser, error) {
	c := begin(ctx, "get", name)
	resp, err := b.get(c, name, "")
	if err != nil {
		return nil, err
	}
	if resp.ContentLength < 0 || resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the storage answered %d without the length of the object: %w", resp.StatusCode, store.ErrUnsupported)
		return nil, errors.Join(c.failed(err), resp.Body.Close())
	}
	r := object.NewDownload(ctx, resp.Body, resp.ContentLength)
	want, err := strconv.ParseUint(resp.Header.Get(checksumHeader), 10, 64)
	if err != nil {
		return r, nil // it is older than the checksums are
	}
	return &summed{r, object.ECMA.New(), want}, nil
}

// summed ends with an error where the bytes have another checksum.
type summed struct {
	io.ReadCloser
	sum  hash.Hash64
	want uint64
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.sum.Write(p[:n])
	if got := s.sum.Sum64(); errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && got != s.want {
		return n, fmt.Errorf("the bytes have the CRC-64 %016x and the object %016x: %w", got, s.want, store.ErrDamaged)
	}
	return n, err
}
