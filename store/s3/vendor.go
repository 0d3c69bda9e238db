package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// vendor is what object.Join asks of S3 for one composition.
type vendor struct {
	*Backend

	// sums says that the composition was begun with a checksum of the whole, for
	// which those of the parts are told. Elsewhere they are refused.
	sums bool
}

// Limits are S3's. A range is copied of an object of more than 5 MiB only. What is copied at once is less than it may be, so that a
// copy is done before the patience with the answer is at its end.
func (*vendor) Limits() object.Limits {
	return object.Limits{MinPart: 5 << 20, MaxPart: 5 << 30, MaxParts: 10_000, MinCopy: 5<<20 + 1, Part: 512 << 20}
}

func (*vendor) Polynomial() object.Polynomial { return object.NVME }

func (v *vendor) Head(ctx context.Context, key store.Key) (object.Object, error) {
	o, err := v.head(ctx, fmt.Sprintf("stat %s", key), v.names.Object(key))
	return described(o), err
}

// described says what a HEAD says. A CRC-64 counts if it is that of the whole.
func described(o minio.ObjectInfo) object.Object {
	d := object.Object{Size: o.Size, Tag: strings.Trim(o.ETag, `"`)}
	if sum, ok := parseChecksum(o.ChecksumCRC64NVME); ok && o.ChecksumMode != "COMPOSITE" {
		d.CRC, d.HasCRC = sum, true
	}
	d.MD5 = md5Of(d.Tag)
	return d
}

var md5Form = regexp.MustCompile(`^[0-9a-f]{32}(-[0-9]+)?$`)

// md5Of is the MD5 that an ETag is, if it looks like one. Where it is none,
// because the storage encrypts say, nothing will equal it.
func md5Of(tag string) string {
	if md5Form.MatchString(tag) {
		return tag
	}
	return ""
}

func (v *vendor) Parts(ctx context.Context, key store.Key, id store.ComposeID) (parts []object.Part, err error) {
	for marker := 0; ; {
		c := begin(ctx, "list parts")
		found, err := v.core.ListObjectParts(c.ctx, v.bucket, v.names.Object(key), string(id), marker, page)
		if err == nil && found.IsTruncated && found.NextPartNumberMarker <= marker {
			err = errors.New("the listing says that it goes on, and not from where")
		}
		if err != nil {
			return nil, c.failed(err)
		}
		v.sums = found.ChecksumAlgorithm == algorithm
		for _, p := range found.ObjectParts {
			parts = append(parts, partOf(p.PartNumber, p.ETag, p.ChecksumCRC64NVME, p.Size))
		}
		if !found.IsTruncated {
			return parts, nil
		}
		marker = found.NextPartNumberMarker
	}
}

func partOf(number int, tag, sum string, size int64) object.Part {
	tag = strings.Trim(tag, `"`)
	return object.Part{Number: number, Size: size, Tag: tag, MD5: md5Of(tag), Extra: sum}
}

func (v *vendor) CopyPart(ctx context.Context, key store.Key, id store.ComposeID, number int, from store.Piece, source object.Object) (object.Part, error) {
	return v.copyPart(ctx, v.names.Object(key), id, number, v.names.Object(from.Key), from.Offset, from.Length, source)
}

// copyPart copies a range of an object, or all of it where n is -1, provided that it still is the one
// described. A service may have begun to answer with 200 before it failed, and
// the SDK takes that for success: without an ETag it is none.
func (b *Backend) copyPart(ctx context.Context, name string, id store.ComposeID, number int, from string, off, n int64, source object.Object) (object.Part, error) {
	c := begin(ctx, fmt.Sprintf("copy %q", from))
	pin := map[string]string{"x-amz-copy-source-if-match": `"` + source.Tag + `"`}
	p, err := b.core.CopyObjectPart(c.ctx, b.bucket, from, b.bucket, name, string(id), number, off, n, pin)
	switch {
	case err == nil && p.ETag == "":
		return object.Part{}, fmt.Errorf("%s: the service answered with success and made no part", c.what)
	case err == nil:
		return partOf(number, p.ETag, p.ChecksumCRC64NVME, n), nil
	case c.answer.Status == http.StatusPreconditionFailed:
		return object.Part{}, fmt.Errorf("%s: it was replaced since it was looked at, and nobody of ours does that: %w", c.what, store.ErrDamaged)
	}
	return object.Part{}, c.failed(err)
}

func (v *vendor) UploadPart(ctx context.Context, key store.Key, id store.ComposeID, number int, r io.Reader, size int64) (object.Part, error) {
	c := begin(ctx, fmt.Sprintf("send part %d", number))
	body, err := object.NewUpload(ctx, r, size, object.NVME.New())
	if err != nil {
		return object.Part{}, fmt.Errorf("%s: %w", c.what, err)
	}
	options := minio.PutObjectPartOptions{DisableContentSha256: true}
	var data io.Reader = body
	if size > 0 && v.sums {
		options.Trailer = http.Header{sumHeader: {checksum(0)}} // which counts as what is to come
		data = &summed{body, options.Trailer}
	}
	p, err := v.core.PutObjectPart(c.ctx, v.bucket, v.names.Object(key), string(id), number, data, size, options)
	if cause := body.Stop(); cause != nil {
		return object.Part{}, fmt.Errorf("%s: %w", c.what, cause)
	}
	if err != nil {
		return object.Part{}, c.failed(err)
	}
	if got := p.ChecksumCRC64NVME; got != "" && got != checksum(body.Sum()) {
		return object.Part{}, fmt.Errorf("%s: the storage has the CRC-64 %s of what has %s: %w", c.what, got, checksum(body.Sum()), store.ErrDamaged)
	}
	return partOf(number, p.ETag, p.ChecksumCRC64NVME, size), nil
}

// algorithm is how S3 calls the checksum.
const algorithm = "CRC64NVME"

// sumHeader is the trailer with the CRC-64 of a body.
const sumHeader = "X-Amz-Checksum-Crc64nvme"

// summed is a body that sets its trailer when it ends.
type summed struct {
	*object.Upload

	trailer http.Header
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.Upload.Read(p)
	if errors.Is(err, io.EOF) {
		s.trailer.Set(sumHeader, checksum(s.Sum()))
	}
	return n, err
}

// Complete is object.Vendor's. The SDK looks for an error in an answer that
// began with 200.
func (v *vendor) Complete(ctx context.Context, key store.Key, id store.ComposeID, parts []object.Part) error {
	list := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		list[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.Tag}
		if v.sums {
			list[i].ChecksumCRC64NVME = p.Extra
		}
	}
	var options minio.PutObjectOptions
	options.SetMatchETagExcept("*")
	c := begin(ctx, "complete")
	done, err := v.core.CompleteMultipartUpload(c.ctx, v.bucket, v.names.Object(key), string(id), list, options)
	if err == nil && done.ETag == "" {
		return errors.New("complete: the service answered with success and made no object")
	}
	return c.failed(err)
}
