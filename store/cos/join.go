package cos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// joining is an object.Vendor.
type joining struct{ *Backend }

// Limits are COS's. Copies are kept shorter than they have to be, since nothing
// is heard of one while it runs.
func (joining) Limits() object.Limits {
	return object.Limits{MinPart: 1 << 20, MaxPart: 5 << 30, MaxParts: 10_000, Part: 512 << 20}
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
	name := j.names.Object(key)
	var parts []object.Part
	for after := 0; ; {
		c := begin(ctx, "list parts of", name)
		found, _, err := j.client.Object.ListParts(c.ctx, name, spelled(id), &cos.ObjectListPartsOptions{
			EncodingType: "url", MaxParts: strconv.Itoa(page), PartNumberMarker: strconv.Itoa(after),
		})
		if err != nil {
			return nil, c.failed(err)
		}
		for _, p := range found.Parts {
			parts = append(parts, object.Part{Number: p.PartNumber, Size: p.Size, Tag: p.ETag})
		}
		if !found.IsTruncated {
			return parts, nil
		}
		next, err := strconv.Atoi(found.NextPartNumberMarker)
		if err != nil || next <= after {
			return nil, c.failed(fmt.Errorf("the listing goes on after part %q", found.NextPartNumberMarker))
		}
		after = next
	}
}

// CopyPart is object.Vendor's. The SDK takes what follows a question mark in a
// source's name for a version.
func (j joining) CopyPart(ctx context.Context, key store.Key, id store.ComposeID, number int, from store.Piece, source object.Object) (object.Part, error) {
	name, origin := j.names.Object(key), j.names.Object(from.Key)
	c := begin(ctx, "copy", origin)
	if strings.Contains(origin, "?") {
		return object.Part{}, c.failed(fmt.Errorf("a name with a question mark cannot be copied from: %w", store.ErrPieces))
	}
	done, _, err := j.client.Object.CopyPart(c.ctx, name, spelled(id), number, j.host+"/"+origin, &cos.ObjectCopyPartOptions{
		XCosCopySourceRange:   fmt.Sprintf("bytes=%d-%d", from.Offset, from.Offset+from.Length-1),
		XCosCopySourceIfMatch: source.Tag,
	})
	if err == nil && done.ETag == "" {
		err = errors.New("the storage answered with success and copied nothing")
	}
	if err != nil {
		return object.Part{}, c.failed(err)
	}
	return object.Part{Tag: done.ETag}, nil
}

func (j joining) UploadPart(ctx context.Context, key store.Key, id store.ComposeID, number int, r io.Reader, size int64) (object.Part, error) {
	name := j.names.Object(key)
	c := begin(ctx, "compose", name)
	body, err := object.NewUpload(ctx, r, size, object.ECMA.New())
	if err != nil {
		return object.Part{}, c.failed(err)
	}
	resp, err := j.client.Object.UploadPart(c.ctx, name, spelled(id), number, sent(body, size), &cos.ObjectUploadPartOptions{ContentLength: size})
	if ours := body.Stop(); ours != nil {
		return object.Part{}, fmt.Errorf("%s: %w", c.what, ours)
	}
	if err == nil {
		err = c.checkSum(body.Sum())
	}
	if err != nil {
		return object.Part{}, c.failed(err)
	}
	return object.Part{Tag: resp.Header.Get("Etag")}, nil
}

// Complete is object.Vendor's. The SDK's error of a failure that was answered
// with 200 holds the document as a list of numbers.
func (j joining) Complete(ctx context.Context, key store.Key, id store.ComposeID, parts []object.Part) error {
	name := j.names.Object(key)
	c := begin(ctx, "compose", name)
	opt := &cos.CompleteMultipartUploadOptions{XOptionHeader: onlyNew()}
	for _, p := range parts {
		opt.Parts = append(opt.Parts, cos.Object{PartNumber: p.Number, ETag: p.Tag})
	}
	_, resp, err := j.client.Object.CompleteMultipartUpload(c.ctx, name, spelled(id), opt)
	if err == nil {
		return nil
	}
	if resp != nil && resp.StatusCode == http.StatusOK && ctx.Err() == nil {
		err = errors.New("the storage answered with success, and then that it failed")
	}
	return c.failed(err)
}
