package oss

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/osproxy/osproxy/store"
	"github.com/osproxy/osproxy/store/object"
)

// errUnsaid is what is known of an object that the service said nothing of. The
// SDK does not tell what the service said of those that it did not delete.
var errUnsaid = errors.New("the service did not say that it did")

// DeleteAll is store.BatchDeleter's. An object counts as deleted when it is among
// those that the service names.
func (b *Backend) DeleteAll(ctx context.Context, keys []store.Key) iter.Seq2[store.Key, error] {
	return object.DeleteAll(ctx, deleting{b}, keys)
}

// deleting is an object.Deleting.
type deleting struct{ *Backend }

// DeleteMany is object.Deleting's.
func (b deleting) DeleteMany(ctx context.Context, keys []store.Key, failed map[store.Key]error) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = b.names.Object(k)
	}
	c := b.begin(ctx, "delete many", "")
	done, err := b.bucket.DeleteObjects(names, c.options()...)
	if err != nil {
		err = c.failed(ctx, err)
	}
	gone := map[string]bool{}
	for _, name := range done.DeletedObjects {
		gone[name] = err == nil
	}
	for i, k := range keys {
		switch {
		case err != nil:
			failed[k] = err
		case !gone[names[i]]:
			failed[k] = fmt.Errorf("delete %q: %w", names[i], errUnsaid)
		}
	}
}
