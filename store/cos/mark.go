package cos

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// Mark is store.Backend's.
func (b *Backend) Mark(ctx context.Context) (string, error) {
	text, err := marking{b}.ReadMark(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		err = settings.Explain(err)
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
	return begin(ctx, "mark", m.names.Mark()).put(ctx, m.Backend, m.names.Mark(), bytes.NewReader(text), int64(len(text)), nil)
}

// Check is store.Checker's: it lists one object, asks for the versioning of the
// bucket, and tries the mark again.
func (b *Backend) Check(ctx context.Context) error {
	c := begin(ctx, "check", "")
	_, _, err := b.client.Bucket.Get(c.ctx, &cos.BucketGetOptions{Prefix: b.names.Prefix(), MaxKeys: 1, EncodingType: "url"})
	if err != nil {
		return settings.Explain(c.failed(err))
	}
	if c.answer.Header.Get(requestHeader) == "" {
		return fmt.Errorf("check: what answers at url is not COS: %w", store.ErrUnsupported)
	}
	if err := object.CheckClock(c.answer); err != nil {
		return settings.Explain(err)
	}
	if err := b.checkVersioning(ctx); err != nil {
		return settings.Explain(err)
	}
	return settings.Explain(object.ProveMark(ctx, marking{b}))
}

func (b *Backend) checkVersioning(ctx context.Context) error {
	c := begin(ctx, "look at versioning", "")
	status := ""
	v, _, err := b.client.Bucket.GetVersioning(c.ctx)
	if err != nil {
		err = c.failed(err)
	} else {
		status = v.Status
	}
	return object.CheckVersioning(status, forbidOverwrite, err)
}
