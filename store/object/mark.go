package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/osproxy/osproxy/store"
)

// MaxMark bounds what is read as a mark, in bytes.
const MaxMark = 64 << 10

// ReadMark reads the body of a mark, and closes it.
func ReadMark(r io.ReadCloser) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxMark))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read mark: %w", err)
	}
	return text, nil
}

// Marking is how a backend reads and makes the object that is its store's mark.
type Marking interface {
	// ReadMark is store.ErrNotFound where there is none.
	ReadMark(ctx context.Context) ([]byte, error)
	// PutMark makes it where there is none: one that is there is
	// store.ErrExists, and stays.
	PutMark(ctx context.Context, text []byte) error
	// ReplaceMark puts it whatever is there.
	ReplaceMark(ctx context.Context, text []byte) error
}

// SetMark puts a mark into a store that has none, or one that over says is to be
// replaced. It is the first thing put
// there, so that what is wrong with the service is known before a blob is: it
// has to read back, and not to be replaced.
func SetMark(ctx context.Context, m Marking, text []byte, over func(there []byte) bool) error {
	put := m.PutMark
	there, err := m.ReadMark(ctx)
	switch {
	case err == nil && over(there):
		put = m.ReplaceMark
	case err == nil:
		return fmt.Errorf("set mark: %w", store.ErrExists)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if err := put(ctx, text); err != nil {
		return err
	}
	kept, err := m.ReadMark(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(kept, text) {
		return fmt.Errorf("set mark: it reads back as %d bytes that are not the %d which were put: %w", len(kept), len(text), store.ErrUnsupported)
	}
	return keeps(ctx, m, text)
}

// ProveMark asks a store that has its mark to take the same one once more, which
// it has to refuse: so it is known that we may write, and that the service keeps
// what is there. Nothing changes, whatever it does. A store without a mark has
// nothing to prove it with.
func ProveMark(ctx context.Context, m Marking) error {
	text, err := m.ReadMark(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return keeps(ctx, m, text)
}

func keeps(ctx context.Context, m Marking, text []byte) error {
	err := m.PutMark(ctx, text)
	if err == nil {
		return fmt.Errorf("the storage replaces an object that it was asked to keep, and so would a blob be lost to another of its name: %w; "+
			"look whether the bucket has versioning, or a rule that lets objects be overwritten", store.ErrUnsupported)
	}
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// CheckVersioning says of the answer to the question what versioning a bucket
// has, the header by which the storage is asked to keep what is there, and which
// it ignores where versioning is or ever was on. Who may not ask, or asks what
// does not know such a thing, finds out by the mark.
func CheckVersioning(status, header string, err error) error {
	switch {
	case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrUnsupported):
		return nil
	case err != nil:
		return err
	case status == "":
		return nil
	}
	return fmt.Errorf("versioning of the bucket is %s: where it is on, or ever was, the storage ignores %s and replaces objects that it is asked to keep: %w; "+
		"nothing was written; use a bucket that never had versioning, since to suspend it does not help", status, header, store.ErrUnsupported)
}
