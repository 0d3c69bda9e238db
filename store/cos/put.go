package cos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// maxPut is how many bytes COS takes in one request.
const maxPut = 5 << 30

// forbidOverwrite is the header that has a request fail where the object exists.
const forbidOverwrite = "X-Cos-Forbid-Overwrite"

func onlyNew() *http.Header { return &http.Header{forbidOverwrite: {"true"}} }

// Put is store.Backend's.
func (b *Backend) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return b.put(ctx, "put", b.names.Object(key), r, size)
}

func (b *Backend) put(ctx context.Context, op, name string, r io.Reader, size int64) error {
	if size > maxPut {
		return fmt.Errorf("%s %q: %d bytes, and COS takes at most %d at once: %w", op, name, size, int64(maxPut), store.ErrUnsupported)
	}
	c := begin(ctx, op, name)
	err := c.put(ctx, b, name, r, size, onlyNew())
	if errors.Is(err, store.ErrDamaged) {
		// It is there, and it is ours: a key that was taken is refused.
		return b.discard(ctx, name, err)
	}
	return err
}

// put sends an object, and compares checksums.
func (c *call) put(ctx context.Context, b *Backend, name string, r io.Reader, size int64, options *http.Header) error {
	body, err := object.NewUpload(ctx, r, size, object.ECMA.New())
	if err != nil {
		return c.failed(err)
	}
	_, err = b.client.Object.Put(c.ctx, name, sent(body, size), &cos.ObjectPutOptions{ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{
		ContentType: mediaType, ContentLength: size, XOptionHeader: options,
	}})
	if ours := body.Stop(); ours != nil {
		return fmt.Errorf("%s: %w", c.what, ours)
	}
	if err != nil {
		return c.failed(err)
	}
	if err := c.checkSum(body.Sum()); err != nil {
		return c.failed(err)
	}
	return nil
}

// sent is what the SDK gets: of no bytes it must know that there are none, or it
// sends them in chunks, as it does with what it was told no length of.
func sent(body *object.Upload, size int64) io.Reader {
	if size == 0 {
		return bytes.NewReader(nil)
	}
	return body
}

// checkSum compares what was sent with what the service says it has. That it
// says nothing is not documented, so that nothing is known of the bytes then.
func (c *call) checkSum(want uint64) error {
	got, err := strconv.ParseUint(c.answer.Header.Get(checksumHeader), 10, 64)
	if err != nil {
		return fmt.Errorf("the storage did not answer with the checksum of what it took: %w", store.ErrDamaged)
	}
	if got != want {
		return fmt.Errorf("the storage has the CRC-64 %016x of what was sent with %016x: %w", got, want, store.ErrDamaged)
	}
	return nil
}

// discardPatience is for deleting what must not stay, whatever became of the
// caller.
const discardPatience = 30 * time.Second

// discard deletes an object that is not what it should be.
func (b *Backend) discard(ctx context.Context, name string, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardPatience)
	defer cancel()
	return errors.Join(why, b.delete(ctx, name))
}
