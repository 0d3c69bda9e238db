package oss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// joining is an object.Vendor.
type joining struct{ *Backend }

// Limits are OSS's: every part but the last has more than 100 KB. Copies are
// kept shorter than they have to be, since nothing is heard of one while it
// runs.
func (joining) Limits() object.Limits {
	return object.Limits{MinPart: 100<<10 + 1, MaxPart: 5 << 30, MaxParts: 10_000, Part: 512 << 20}
}

func (joining) Polynomial() object.Polynomial { return object.ECMA }

func (j joining) Head(ctx context.Context, key store.Key) (object.Object, error) {
	if err := key.CheckAny(); err != nil {
		return object.Object{}, err
	}
	d, err := j.head(ctx, "stat", j.names.Object(key))
	return d.Object, err
}

func (j joining) Parts(ctx context.Context, key store.Key, id store.ComposeID) ([]object.Part, error) {
	up := j.upload(key, id)
	var parts []object.Part
	for after := 0; ; {
		c := j.begin(ctx, "list parts of", up.Key)
		found, err := j.bucket.ListUploadedParts(up, c.options(oss.MaxParts(page), oss.PartNumberMarker(after))...)
		if err != nil {
			return nil, c.failed(ctx, err)
		}
		for _, p := range found.UploadedParts {
			if p.ETag != "" { // without one it cannot be named, and is made again
				parts = append(parts, object.Part{Number: p.PartNumber, Size: int64(p.Size), Tag: p.ETag})
			}
		}
		if !found.IsTruncated {
			return parts, nil
		}
		next, err := strconv.Atoi(found.NextPartNumberMarker)
		if err != nil || next <= after {
			return nil, c.failed(ctx, fmt.Errorf("the listing goes on after part %q", found.NextPartNumberMarker))
		}
		after = next
	}
}

// CopyPart is object.Vendor's. The SDK makes a plus of a space in a source's
// name, which then is a plus; and an answer of 200 with an error in it is a
// success to it.
func (j joining) CopyPart(ctx context.Context, key store.Key, id store.ComposeID, number int, from store.Piece, source object.Object) (object.Part, error) {
	bucket, origin := j.bucket.BucketName, j.names.Object(from.Key)
	c := j.begin(ctx, "copy", origin)
	done, err := j.bucket.UploadPartCopy(j.upload(key, id), bucket, origin, from.Offset, from.Length, number, c.options(
		oss.CopySourceIfMatch(source.Tag), oss.SetHeader(oss.HTTPHeaderOssCopySource, "/"+bucket+"/"+url.PathEscape(origin)))...)
	if err == nil && done.ETag == "" {
		err = errors.New("the service answered with success and copied nothing")
	}
	if err != nil {
		return object.Part{}, c.failed(ctx, err)
	}
	return object.Part{Tag: done.ETag}, nil
}

func (j joining) UploadPart(ctx context.Context, key store.Key, id store.ComposeID, number int, r io.Reader, size int64) (object.Part, error) {
	c := j.begin(ctx, "compose", j.names.Object(key))
	h, err := c.send(ctx, map[string]any{"partNumber": strconv.Itoa(number), "uploadId": string(id)}, r, size)
	if err != nil {
		return object.Part{}, err
	}
	tag := h.Get(oss.HTTPHeaderEtag)
	if tag == "" {
		return object.Part{}, c.failed(ctx, errors.New("the service answered with success and took nothing"))
	}
	return object.Part{Tag: tag}, nil
}

func (j joining) Complete(ctx context.Context, key store.Key, id store.ComposeID, parts []object.Part) error {
	up := j.upload(key, id)
	c := j.begin(ctx, "compose", up.Key)
	list := make([]oss.UploadPart, len(parts))
	for i, p := range parts {
		list[i] = oss.UploadPart{PartNumber: p.Number, ETag: p.Tag}
	}
	done, err := j.bucket.CompleteMultipartUpload(up, list, c.options(oss.ForbidOverWrite(true))...)
	if err == nil && done.ETag == "" {
		err = errors.New("the service answered with success and made no object")
	}
	if err != nil {
		return c.failed(ctx, err)
	}
	return nil
}
