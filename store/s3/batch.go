package s3

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/minio/minio-go/v7"

	"github.com/osproxy/osproxy/store"
)

// DeleteAll is store.BatchDeleter's. An object counts as deleted when the
// service has said so of it: the SDK passes over some failures, and the rest of
// an answer that breaks off.
func (b *Backend) DeleteAll(ctx context.Context, keys []store.Key) iter.Seq2[store.Key, error] {
	return func(yield func(store.Key, error) bool) {
		c := begin(ctx, "delete many")
		open := map[string]error{} // by name, why it is not deleted
		for _, k := range keys {
			if k.CheckAny() == nil {
				open[b.names.Object(k)] = errUnsaid
			}
		}
		b.deleteMany(c, open)
		for _, k := range keys {
			err := k.CheckAny()
			if err == nil {
				err = open[b.names.Object(k)]
			}
			if errors.Is(err, errUnsaid) && ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil && !yield(k, fmt.Errorf("delete %s: %w", k, err)) {
				return
			}
		}
	}
}

// errUnsaid is what is known of an object that the service said nothing of.
var errUnsaid = errors.New("the service did not say that it did")

// deleteMany deletes the objects of the names, and leaves those in open which
// are not.
func (b *Backend) deleteMany(c *call, open map[string]error) {
	names := make([]minio.ObjectInfo, 0, len(open))
	for name := range open {
		names = append(names, minio.ObjectInfo{Key: name})
	}
	results, err := b.core.RemoveObjectsWithIter(c.ctx, b.bucket, slices.Values(names), minio.RemoveObjectsOptions{})
	if err != nil {
		for name := range open {
			open[name] = c.failed(err)
		}
		return
	}
	for r := range results {
		err := c.failed(r.Err)
		switch {
		case r.ObjectName == "":
			// An answer that cannot be read: of nothing in it is known anything.
		case err == nil, errors.Is(err, store.ErrNotFound):
			delete(open, r.ObjectName)
		default:
			open[r.ObjectName] = err
		}
	}
}
