// Package mem keeps blobs in memory, under the same conformance suite as every
// other backend. It serves tests of the layers above; nothing survives the
// process.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osproxy/osproxy/store"
)

// Backend is a store.Backend in memory.
type Backend struct {
	mu      sync.RWMutex
	objects map[store.Key]object // the foreign ones, too
	mark    string
	begun   map[composition]time.Time // what was neither finished nor abandoned
	lastID  int
}

// object is immutable once it is in the map.
type object struct {
	data      []byte
	time      time.Time
	mediaType string // a foreign one's
}

var (
	_ store.Backend      = (*Backend)(nil)
	_ store.BatchDeleter = (*Backend)(nil)
)

// New makes an empty, unmarked backend.
func New() *Backend {
	return &Backend{objects: map[store.Key]object{}, begun: map[composition]time.Time{}}
}

// growAtOnce is the most that is set aside for a body of which no byte is there.
const growAtOnce = 64 << 20

// Put is store.Backend's. It reads the whole body before it takes the key.
func (b *Backend) Put(ctx context.Context, key store.Key, r io.Reader, size int64) error {
	if err := check(ctx, "put", key); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("put %s: negative size %d: %w", key, size, store.ErrShort)
	}
	if _, err := b.find("put", key); err == nil {
		return fmt.Errorf("put %s: %w", key, store.ErrExists)
	}
	var buf bytes.Buffer
	// Grown bit by bit it would be copied and cleared several times.
	buf.Grow(int(min(size, growAtOnce)) + bytes.MinRead)
	n, err := io.Copy(&buf, io.LimitReader(&ctxReader{ctx, r}, size))
	if err != nil {
		return fmt.Errorf("put %s: read body at byte %d: %w", key, n, err)
	}
	if n < size {
		return fmt.Errorf("put %s: body ended after %d of %d bytes: %w", key, n, size, store.ErrShort)
	}
	switch _, err := io.ReadFull(r, make([]byte, 1)); err {
	case nil:
		return fmt.Errorf("put %s: body goes on after %d bytes: %w", key, size, store.ErrShort)
	case io.EOF:
	default:
		return fmt.Errorf("put %s: read end of body: %w", key, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; ok {
		return fmt.Errorf("put %s: %w", key, store.ErrExists)
	}
	b.objects[key] = object{data: buf.Bytes(), time: time.Now()}
	return nil
}

// Get is store.Backend's. A reader goes on giving the object's bytes after it
// was deleted.
func (b *Backend) Get(ctx context.Context, key store.Key, off, n int64) (io.ReadCloser, error) {
	if err := checkAny(ctx, "get", key); err != nil {
		return nil, err
	}
	o, err := b.find("get", key)
	if err != nil {
		return nil, err
	}
	size := int64(len(o.data))
	if off < 0 || off > size || n > size-off {
		return nil, fmt.Errorf("get %s: %d bytes from %d of %d: %w", key, n, off, size, store.ErrRange)
	}
	if n < 0 {
		n = size - off
	}
	return io.NopCloser(&ctxReader{ctx, bytes.NewReader(o.data[off : off+n])}), nil
}

// Stat is store.Backend's.
func (b *Backend) Stat(ctx context.Context, key store.Key) (store.Info, error) {
	if err := checkAny(ctx, "stat", key); err != nil {
		return store.Info{}, err
	}
	o, err := b.find("stat", key)
	if err != nil {
		return store.Info{}, err
	}
	return o.info(key), nil
}

// Delete is store.Backend's.
func (b *Backend) Delete(ctx context.Context, key store.Key) error {
	if err := checkAny(ctx, "delete", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return nil
}

// DeleteAll is store.BatchDeleter's.
func (b *Backend) DeleteAll(ctx context.Context, keys []store.Key) iter.Seq2[store.Key, error] {
	return func(yield func(store.Key, error) bool) {
		for _, k := range keys {
			if err := b.Delete(ctx, k); err != nil && !yield(k, err) {
				return
			}
		}
	}
}

// List is store.Backend's, over the keys as they were when the loop began.
func (b *Backend) List(ctx context.Context, prefix string, after store.Key) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		b.mu.RLock()
		keys := slices.Sorted(maps.Keys(b.objects))
		b.mu.RUnlock()
		for _, key := range keys {
			if err := ctx.Err(); err != nil {
				yield(store.Info{}, fmt.Errorf("list: %w", err))
				return
			}
			if key <= after || !strings.HasPrefix(string(key), prefix) || !key.Valid() {
				continue
			}
			o, err := b.find("list", key)
			if err != nil {
				continue // deleted meanwhile
			}
			if !yield(o.info(key), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(store.Info{}, fmt.Errorf("list: %w", err))
		}
	}
}

// Mark is store.Backend's.
func (b *Backend) Mark(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("read mark: %w", err)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.mark == "" {
		return "", fmt.Errorf("read mark: %w", store.ErrNotFound)
	}
	return b.mark, nil
}

// SetMark is store.Backend's.
func (b *Backend) SetMark(ctx context.Context, mark string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mark != "" && !store.Names(mark, b.mark) {
		return fmt.Errorf("set mark: already %q: %w", b.mark, store.ErrExists)
	}
	b.mark = mark
	return nil
}

// Check is store.Checker's: memory is always there.
func (b *Backend) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

// Close is store.Backend's.
func (b *Backend) Close() error { return nil }

func (b *Backend) find(op string, key store.Key) (object, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	o, ok := b.objects[key]
	if !ok {
		return object{}, fmt.Errorf("%s %s: %w", op, key, store.ErrNotFound)
	}
	return o, nil
}

func (o object) info(key store.Key) store.Info {
	return store.Info{Key: key, Size: int64(len(o.data)), Time: o.time}
}

func check(ctx context.Context, op string, key store.Key) error {
	if err := key.Check(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return checkAny(ctx, op, key)
}

// checkAny is check, but passes the keys of foreign objects too.
func checkAny(ctx context.Context, op string, key store.Key) error {
	if err := key.CheckAny(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}

// ctxReader fails once ctx has ended.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
