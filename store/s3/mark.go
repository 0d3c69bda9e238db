package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// mark is the content of the object that says whose store this is.
type mark struct {
	Installation string `json:"installation"`
	// Store is "" in a mark from before marks had names.
	Store string `json:"store,omitempty"`
	About string `json:"about"`
}

const aboutMark = "The objects beside this one are blobs of the ospd installation named here. Without this object ospd refuses to use them."

// Mark is store.Backend's.
func (b *Backend) Mark(ctx context.Context) (string, error) {
	text, err := b.readMark(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if err != nil {
		return "", settings().Explain(err)
	}
	is, ok := parseMark(text)
	if !ok {
		return "", fmt.Errorf("%s is no mark of ospd's: %w", b.names.Mark(), store.ErrForeign)
	}
	return is, nil
}

// parseMark gives what SetMark was given.
func parseMark(text []byte) (is string, ok bool) {
	var m mark
	if err := json.Unmarshal(text, &m); err != nil || m.Installation == "" {
		return "", false
	}
	if m.Store == "" {
		return m.Installation, true
	}
	return m.Installation + " " + m.Store, true
}

func (b *Backend) readMark(ctx context.Context) ([]byte, error) {
	c := begin(ctx, "read mark")
	body, info, _, err := b.core.GetObject(c.ctx, b.bucket, b.names.Mark(), minio.GetObjectOptions{})
	if err != nil {
		return nil, c.failed(err)
	}
	defer body.Close()
	text, err := io.ReadAll(object.NewDownload(ctx, body, min(info.Size, object.MaxMark)))
	if err != nil {
		return nil, fmt.Errorf("read mark: %w", err)
	}
	return text, nil
}

// SetMark is store.Backend's.
func (b *Backend) SetMark(ctx context.Context, is string) error {
	installation, name, _ := strings.Cut(is, " ")
	text, err := json.Marshal(mark{installation, name, aboutMark})
	if err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	if _, err := b.bodies.ask(ctx, b.sumsBodies); err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	return object.SetMark(ctx, marking{b}, text, func(there []byte) bool {
		was, ok := parseMark(there)
		return ok && store.Names(is, was)
	})
}

// marking is an object.Marking.
type marking struct{ *Backend }

func (m marking) ReadMark(ctx context.Context) ([]byte, error) { return m.readMark(ctx) }

func (m marking) PutMark(ctx context.Context, text []byte) error { return m.putMark(ctx, text, false) }

func (m marking) ReplaceMark(ctx context.Context, text []byte) error {
	return m.putMark(ctx, text, true)
}

// putMark puts the mark. A service that takes checksums behind parts and not
// behind objects goes without them, too.
func (m marking) putMark(ctx context.Context, text []byte, over bool) error {
	err := m.put(ctx, "set mark", m.names.Mark(), bytes.NewReader(text), int64(len(text)), over)
	var unsummed *unsummedError
	if errors.As(err, &unsummed) {
		m.bodies.deny()
		err = m.put(ctx, "set mark", m.names.Mark(), bytes.NewReader(text), int64(len(text)), over)
	}
	return err
}

// Check is store.Checker's.
func (b *Backend) Check(ctx context.Context) error {
	c := begin(ctx, "list")
	if _, err := b.firstOf(c); err != nil {
		return settings().Explain(c.failed(err))
	}
	if err := object.CheckClock(c.answer); err != nil {
		return settings().Explain(err)
	}
	if _, err := b.bodies.ask(ctx, b.sumsBodies); err != nil {
		return settings().Explain(err)
	}
	return settings().Explain(object.ProveMark(ctx, marking{b}))
}

// firstOf lists one object, since the answer to a listing says what is wrong,
// where that to a HEAD has no room for it.
func (b *Backend) firstOf(c *call) (found bool, err error) {
	for o := range b.core.ListObjectsIter(c.ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.names.Prefix(), Recursive: true, MaxKeys: 1}) {
		return true, o.Err
	}
	return false, c.ctx.Err()
}
