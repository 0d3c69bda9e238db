package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// mark is the content of the object that says whose store this is.
type mark struct {
	Installation string `json:"installation"`
	About        string `json:"about"`
}

const aboutMark = "The objects beside this one are blobs of the ospd installation named here. Without this object ospd refuses to use them."

// maxMark bounds what is read as a mark.
const maxMark = 64 << 10

// Mark is store.Backend's.
func (b *Backend) Mark(ctx context.Context) (string, error) {
	text, err := b.readMark(ctx)
	if err != nil {
		return "", err
	}
	var m mark
	if err := json.Unmarshal(text, &m); err != nil || m.Installation == "" {
		return "", fmt.Errorf("%s is no mark of ospd's: %w", b.names.Mark(), store.ErrForeign)
	}
	return m.Installation, nil
}

func (b *Backend) readMark(ctx context.Context) ([]byte, error) {
	c := begin(ctx, "read mark")
	body, info, _, err := b.core.GetObject(c.ctx, b.bucket, b.names.Mark(), minio.GetObjectOptions{})
	if err != nil {
		return nil, c.failed(err)
	}
	defer body.Close()
	text, err := io.ReadAll(object.NewDownload(ctx, body, min(info.Size, maxMark)))
	if err != nil {
		return nil, fmt.Errorf("read mark: %w", err)
	}
	return text, nil
}

// SetMark is store.Backend's.
func (b *Backend) SetMark(ctx context.Context, installation string) error {
	if _, err := b.readMark(ctx); err == nil {
		return fmt.Errorf("set mark: %w", store.ErrExists)
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	text, err := json.Marshal(mark{installation, aboutMark})
	if err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	if err := b.putMark(ctx, text); err != nil {
		return err
	}
	// What is wrong with the service is known before a blob goes there.
	kept, err := b.readMark(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(kept, text) {
		return fmt.Errorf("set mark: %s reads back as %d bytes that are not the %d which were put: %w", b.names.Mark(), len(kept), len(text), store.ErrUnsupported)
	}
	return nil
}

// putMark puts a mark where there is none. It is the first thing put into a
// store, and so finds out whether checksums may follow bodies.
func (b *Backend) putMark(ctx context.Context, text []byte) error {
	plain := b.plain.Load()
	err := b.put(ctx, "set mark", b.names.Mark(), bytes.NewReader(text), int64(len(text)))
	if err != nil && !plain && b.plain.Load() {
		err = b.put(ctx, "set mark", b.names.Mark(), bytes.NewReader(text), int64(len(text)))
	}
	return err
}

// Check is store.Checker's. A store that has its mark is asked to put the same
// one once more, which it has to refuse: so it is known that we may write, and
// that the service keeps what is there. Nothing changes, whatever it does.
func (b *Backend) Check(ctx context.Context) error {
	c := begin(ctx, "list")
	if _, err := b.firstOf(c); err != nil {
		return settings().Explain(c.failed(err))
	}
	if err := object.CheckClock(c.answer); err != nil {
		return settings().Explain(err)
	}
	text, err := b.readMark(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return settings().Explain(err)
	}
	switch err := b.putMark(ctx, text); {
	case err == nil:
		return fmt.Errorf("the service replaces an object that it was asked to keep (If-None-Match): %w", store.ErrUnsupported)
	case !errors.Is(err, store.ErrExists):
		return settings().Explain(err)
	}
	return nil
}

// firstOf lists one object, since the answer to a listing says what is wrong,
// where that to a HEAD has no room for it.
func (b *Backend) firstOf(c *call) (found bool, err error) {
	for o := range b.core.ListObjectsIter(c.ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.names.Prefix(), Recursive: true, MaxKeys: 1}) {
		return true, o.Err
	}
	return false, c.ctx.Err()
}
