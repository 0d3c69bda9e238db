package mem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/osproxy/osproxy/store"
)

var _ store.Browser = (*Backend)(nil)

// PutForeign adds an object that is not ospd's, or replaces it, as others do who
// write to the same storage.
func (b *Backend) PutForeign(ctx context.Context, name, mediaType string, data []byte) error {
	key := store.ForeignKey(name)
	if err := checkAny(ctx, "put foreign", key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = object{data: slices.Clone(data), time: time.Now(), mediaType: mediaType}
	return nil
}

// Browse is store.Browser's, over the names as they were when the loop began.
func (b *Backend) Browse(ctx context.Context, prefix, after string) iter.Seq2[store.Found, error] {
	return func(yield func(store.Found, error) bool) {
		for _, name := range b.foreign() {
			if ctx.Err() != nil {
				break
			}
			if name <= after || !strings.HasPrefix(name, prefix) {
				continue
			}
			o, err := b.find("browse", store.ForeignKey(name))
			if err != nil {
				continue // deleted meanwhile
			}
			if !yield(o.found(name), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(store.Found{}, fmt.Errorf("browse: %w", err))
		}
	}
}

// foreign gives the names of foreign objects in order.
func (b *Backend) foreign() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var names []string
	for key := range b.objects {
		if name, ok := key.Foreign(); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Marked is store.Browser's: a mark of others is a foreign object called STORE.
func (b *Backend) Marked(ctx context.Context, dir string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	_, err := b.find("marked", store.ForeignKey(dir+"STORE"))
	return err == nil, nil
}

// Describe is store.Browser's.
func (b *Backend) Describe(ctx context.Context, name string) (store.Found, error) {
	key := store.ForeignKey(name)
	if err := checkAny(ctx, "describe", key); err != nil {
		return store.Found{}, err
	}
	o, err := b.find("describe", key)
	if err != nil {
		return store.Found{}, err
	}
	return o.found(name), nil
}

func (o object) found(name string) store.Found {
	sum := sha256.Sum256(o.data)
	return store.Found{Name: name, Size: int64(len(o.data)), Time: o.time, MediaType: o.mediaType, Tag: hex.EncodeToString(sum[:16])}
}
