package oss

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Mark is store.Backend's.
func (b *Backend) Mark(ctx context.Context) (string, error) {
	text, err := marking{b}.ReadMark(ctx)
	_, refused := errors.AsType[oss.ServiceError](err)
	_, strange := errors.AsType[*object.Stranger](err)
	if !refused && !strange && store.MayPass(err) && ctx.Err() == nil {
		return "", fmt.Errorf("the service cannot be reached at %s; check endpoint: %w", b.endpoint, err)
	}
	return string(text), err
}

// SetMark is store.Backend's.
func (b *Backend) SetMark(ctx context.Context, mark string) error {
	return object.SetMark(ctx, marking{b}, []byte(mark), func(there []byte) bool { return store.Names(mark, string(there)) })
}

// marking is an object.Marking.
type marking struct{ *Backend }

func (m marking) ReadMark(ctx context.Context) ([]byte, error) {
	r, err := m.whole(ctx, m.names.Mark())
	if err != nil {
		return nil, err
	}
	return object.ReadMark(r)
}

func (m marking) PutMark(ctx context.Context, text []byte) error {
	return m.put(ctx, "mark", m.names.Mark(), bytes.NewReader(text), int64(len(text)))
}

func (m marking) ReplaceMark(ctx context.Context, text []byte) error {
	c := m.begin(ctx, "mark", m.names.Mark())
	_, err := c.send(ctx, nil, bytes.NewReader(text), int64(len(text)))
	return err
}

// Check is store.Checker's: it lists one object, asks for the versioning of the
// bucket, and tries the mark again.
func (b *Backend) Check(ctx context.Context) error {
	c := b.begin(ctx, "check", "")
	if _, err := b.bucket.ListObjectsV2(c.options(oss.Prefix(b.names.Prefix()), oss.MaxKeys(1))...); err != nil {
		err = c.failed(ctx, err)
		if c.answer.Status == 0 && ctx.Err() == nil {
			return fmt.Errorf("the service cannot be reached at %s; check endpoint: %w", b.endpoint, err)
		}
		return err
	}
	if err := object.CheckClock(c.answer); err != nil {
		return err
	}
	c = b.begin(ctx, "look at versioning", "")
	v, err := b.bucket.Client.GetBucketVersioning(b.bucket.BucketName, c.options()...)
	if err != nil {
		err = c.failed(ctx, err)
	}
	if err := object.CheckVersioning(v.Status, oss.HTTPHeaderOssForbidOverWrite, err); err != nil {
		return err
	}
	return object.ProveMark(ctx, marking{b})
}
