package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Put is store.Backend's.
func (b *Backend) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if size > maxPut {
		return fmt.Errorf("put %s: %d bytes, S3 takes %d at most: %w", key, size, int64(maxPut), store.ErrUnsupported)
	}
	return b.put(ctx, fmt.Sprintf("put %s", key), b.names.Object(key), r, size, false)
}

// put makes an object where there is none, but over another only if over is set:
// else a name that is taken is store.ErrExists.
func (b *Backend) put(ctx context.Context, what, name string, r io.Reader, size int64, over bool) error {
	body, err := object.NewUpload(ctx, r, size, object.NVME.New())
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	plain := b.bodies.denied()
	core, options := b.putting(plain)
	if !over {
		options.SetMatchETagExcept("*")
	}
	c := begin(ctx, what)
	done, err := core.PutObject(c.ctx, b.bucket, name, body, size, "", "", options)
	if cause := body.Stop(); cause != nil {
		return fmt.Errorf("%s: %w", what, cause)
	}
	if err != nil {
		return refused(c.failed(err), plain)
	}
	if got := done.ChecksumCRC64NVME; got != "" && got != checksum(body.Sum()) {
		return b.discard(ctx, name, fmt.Errorf("%s: the storage has the CRC-64 %s of what has %s", what, got, checksum(body.Sum())))
	}
	return nil
}

// putting has the SDK send bodies as they are, followed by their checksum if the
// service takes that, so that it stores nothing that was damaged on the way.
func (b *Backend) putting(plain bool) (*minio.Core, minio.PutObjectOptions) {
	o := minio.PutObjectOptions{ContentType: mediaType, DisableContentSha256: true, DisableMultipart: true}
	if plain {
		return b.bare, o
	}
	o.Checksum = minio.ChecksumCRC64NVME
	return b.core, o
}

// unsummedError says that the service did not take a body for the checksum
// behind it. That may pass: at the start it took them, or was not asked. Nothing
// is turned off for it.
type unsummedError struct{ said error }

func (e *unsummedError) Error() string {
	return "the service refuses a checksum behind a body; whether it takes them is asked at the start, so start ospd again if it stays so: " + e.said.Error()
}

func refused(err error, plain bool) error {
	var f *object.Failure
	if plain || !errors.As(err, &f) {
		return err
	}
	unknown := f.Status == http.StatusNotImplemented || f.Status == http.StatusLengthRequired ||
		f.Status == http.StatusBadRequest && (f.Code == "InvalidArgument" || f.Code == "InvalidRequest" || f.Code == "XAmzContentSHA256Mismatch")
	if !unknown {
		return err
	}
	return &unsummedError{err}
}

// discard removes an object that is not what was sent. Nobody looks for it yet.
func (b *Backend) discard(ctx context.Context, name string, why error) error {
	if err := b.delete(ctx, name); err != nil {
		return fmt.Errorf("%w; and it could not be deleted: %w", why, err)
	}
	return fmt.Errorf("%w: %w", why, store.ErrDamaged)
}

// checksum is how S3 writes a CRC-64.
func checksum(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

func parseChecksum(s string) (uint64, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}
